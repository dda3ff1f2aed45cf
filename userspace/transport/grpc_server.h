/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2 (h2c, prior knowledge) on a listening unix socket. The thread that runs the
 * sd-event loop owns every connection; that is one thread at a time, or always the same one. Each
 * call runs in straight-line code on a worker that the owner's `submit` provides, and may block
 * there.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "transport/grpc_listener_options.h"
#include "transport/grpc_server_options.h"

struct grpc_lane;
struct grpc_meters;
struct grpc_server;

int grpc_server_new(sd_event *loop, const struct grpc_server_options *options,
		    struct grpc_server **ret_server, struct error *e);
/* What was counted of its calls; lives as long as the server. */
const struct grpc_meters *grpc_server_meters(const struct grpc_server *s);
/* Takes the listening socket, which must not block. May be called for several. */
int grpc_server_listen(struct grpc_server *s, int listener,
		       const struct grpc_listener_options *options, struct error *e);
enum grpc_server_turn {
	GRPC_SERVER_IDLE,
	GRPC_SERVER_HAS_MORE,
	GRPC_SERVER_HAS_ENDED, /* sd_event_exit() was called */
	GRPC_SERVER_HAS_FAILED, /* the loop cannot run; the log says why */
};

/* With the option `in_turns`: runs the loop until nothing is pending, or for some events, and does
 * not wait. Thread-safe. */
enum grpc_server_turn grpc_server_turn(struct grpc_server *s);
/* In the loop: what the option `may_run` says has changed. */
void grpc_server_retry_calls(struct grpc_server *s);
/* Takes a connected socket, as if the client had connected to the listener of one of the server's
 * lanes. */
void grpc_server_accept(struct grpc_server *s, struct grpc_lane *lane, int fd);
/* GOAWAY to all clients, no new connections; calls under way finish, and are cancelled after a
 * minute. `done` is called by the loop, with the options' user, after the last call. */
void grpc_server_shut_down(struct grpc_server *s, void (*done)(void *user));
/* Closes all connections and takes no new ones. Their calls are cancelled, so that a handler that
 * waits for its client to read goes on; it may still run when this returns. */
void grpc_server_close(struct grpc_server *s);
/* Every call must have finished before. */
void grpc_server_free(struct grpc_server *s);
DEFINE_CLEANUP(struct grpc_server *, grpc_server_free)
