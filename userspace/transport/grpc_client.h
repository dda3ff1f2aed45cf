/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking gRPC client for one unix socket and one call at a time, as a command line needs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct grpc_client;

/* `address` is "unix:///path" or a path. -ECONNREFUSED, -ENOENT, -EACCES, … of connect(2), with a
 * sentence that names the socket and the way out. */
int grpc_client_connect(const char *address, struct grpc_client **ret_client, struct error *e);
void grpc_client_free(struct grpc_client *c);
DEFINE_CLEANUP(struct grpc_client *, grpc_client_free)

/*
 * Sends one message and gives each reply message to `reply` (borrowed for the call). Returns 0, or
 * the errno that the server's status stands for with its message as text; -ECONNRESET when the
 * agent went away meanwhile. A negative return of `reply` cancels the call and is returned.
 */
int grpc_client_call(struct grpc_client *c, const char *path, const void *message, size_t length,
		     int (*reply)(const uint8_t *message, size_t length, void *user), void *user,
		     struct error *e);
