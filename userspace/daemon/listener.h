/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets: made here, or taken over from the service manager. */
#pragma once

#include <stdbool.h>

#include "daemon/access.h"

#define LISTENERS_MAX 4

struct listener {
	int fd; /* -EBADF once somebody has taken it */
	bool read_only;
	const char *path; /* of a file that is ours to remove; else NULL */
};

struct listeners {
	struct listener items[LISTENERS_MAX];
	size_t count;
};

/* -EADDRINUSE: a living process listens there already, or what is there is no socket of ours. What
 * was opened before a failure is in *listeners. */
int listeners_open(struct listeners *listeners, const struct access *access, struct error *e);
/* Also removes the files. */
void listeners_close(struct listeners *listeners);
