/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket: made here, or taken over from the service manager. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* *ret_made: the socket's file is ours, to be removed at the end. -EADDRINUSE: a living process
 * listens there already, or what is there is no socket of ours. */
int listener_open(const char *path, int *ret_fd, bool *ret_made, struct error *e);
