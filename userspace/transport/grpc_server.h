/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2 (h2c, prior knowledge) on a listening unix socket. One thread, the owner of the
 * sd-event loop, owns every connection; each call runs in straight-line code on a worker that the
 * owner's `submit` provides, and may block there.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "transport/grpc_listener_options.h"
#include "transport/grpc_service.h"

struct grpc_lane;
struct grpc_server;

struct grpc_server_options {
	const struct grpc_service *services; /* ends with NULL methods; copied */
	void *user; /* of the callbacks below */
	/* Runs work(arg) on some other thread; -EAGAIN when that is full. */
	int (*submit)(void (*work)(void *arg), void *arg, void *user);
	/* In the loop's thread, after the last call of that connection has finished. */
	void (*connection_closed)(uint64_t connection, void *user);
	/* In the loop's thread, before each call: whether this peer (of that socket) may make it,
	 * else -EPERM with a sentence. NULL: every peer may. */
	int (*authorize)(const struct grpc_peer *peer, int socket, const struct grpc_method *method,
			 void *user, struct error *e);
	size_t max_message_bytes; /* of a request; larger ones end as RESOURCE_EXHAUSTED */
	/* How long a client may leave a request incomplete or its reply unread. */
	uint64_t patience_us;
	const char *unimplemented_hint; /* what an unknown method is told besides its name; may be
					   NULL */
};

int grpc_server_new(sd_event *loop, const struct grpc_server_options *options,
		    struct grpc_server **ret_server, struct error *e);
/* Takes the listening socket, which must not block. May be called for several. */
int grpc_server_listen(struct grpc_server *s, int listener,
		       const struct grpc_listener_options *options, struct error *e);
/* Takes a connected socket, as if its client had come by the listener of one of its lanes, which
 * are private to the server. */
void grpc_server_accept(struct grpc_server *s, struct grpc_lane *lane, int fd);
/* GOAWAY to all clients, no new connections; calls under way finish, and are cancelled after a
 * minute. `done` is called by the loop, with the options' user, after the last call. */
void grpc_server_shut_down(struct grpc_server *s, void (*done)(void *user));
/* Closes all connections and takes no new ones. Their calls are cancelled, so that a handler that
 * waits for its client to read goes on; it may still run when this returns. */
void grpc_server_close(struct grpc_server *s);
/* Every call must have finished. */
void grpc_server_free(struct grpc_server *s);
DEFINE_CLEANUP(struct grpc_server *, grpc_server_free)
