/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent shows over HTTP: metrics at /metrics, and on other sockets pages. */
#pragma once

#include "web/http_server.h"
#include "web/page_sources.h"

struct grpc_meters;
struct web;

struct web_socket {
	int fd; /* as of the HTTP server, which takes it */
	bool is_local;
	bool has_pages; /* instead of metrics */
};

struct web_options {
	struct page_sources sources; /* what they point to must outlive it */
	const struct grpc_meters *calls;
	struct web_socket sockets[HTTP_SERVER_SOCKETS_MAX];
	size_t socket_count;
};

/* Takes the sockets, also on failure. */
int web_start(const struct web_options *options, struct web **ret_web, struct error *e);
void web_stop(struct web *w);
DEFINE_CLEANUP(struct web *, web_stop)
