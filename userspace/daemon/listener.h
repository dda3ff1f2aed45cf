/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets, which the agent makes or gets from systemd. */
#pragma once

#include <stdbool.h>

#include "daemon/access.h"

#define LISTENERS_MAX 4

struct listener {
	int fd; /* -EBADF once the server has taken it */
	bool read_only;
	const char *path; /* of a socket file that the agent made and removes; else NULL */
};

struct listeners {
	struct listener items[LISTENERS_MAX];
	size_t count;
};

/* -EADDRINUSE: another process listens there, or the path is not a socket. On failure, the sockets
 * that were opened before it are in *listeners, and the caller closes them. */
int listeners_open(struct listeners *listeners, const struct access *access, struct error *e);
/* Adds a unix socket at this path, which the agent makes. The same errors. */
int listeners_add(struct listeners *listeners, const struct access *access, const char *path,
		  bool read_only, struct error *e);
/* Also removes the socket files that the agent made. */
void listeners_close(struct listeners *listeners);
