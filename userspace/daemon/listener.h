/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket: made here, or taken over from the service manager. */
#pragma once

#include "base/error.h"

/* -EADDRINUSE: a living process listens there already, or what is there is no socket of ours. */
int listener_open(const char *path, int *ret_fd, struct error *e);
/* Removes the socket's file, unless the service manager made it. */
void listener_remove(const char *path);
