/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets of the web server: for metrics and for pages, each a unix socket and a
 * loopback address. */
#pragma once

#include "daemon/listener.h"
#include "web/web.h"

struct web_sockets {
	struct listeners
		unix_sockets; /* in the order of `web`; their files are removed at the end */
	struct web_socket web[HTTP_SERVER_SOCKETS_MAX];
	size_t count;
};

/* Opens what is configured. On failure, what was opened before it is closed by the caller. */
int web_sockets_open(const struct config *config, const struct access *access,
		     struct web_sockets *sockets, struct error *e);
/* Hands the sockets over to the options, whose web server takes them. */
void web_sockets_hand_over(struct web_sockets *sockets, struct web_options *options);
void web_sockets_close(struct web_sockets *sockets);
