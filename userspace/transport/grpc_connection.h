/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's socket and its calls. Private to the server, in the loop's thread. A connection that
 * is closed stays until its last call has left its worker.
 */
#pragma once

#include "transport/grpc_call.h"
#include "transport/http2_session.h"

struct grpc_connection {
	struct grpc_server *server;
	struct grpc_lane *lane;
	struct grpc_connection *next, **link;
	struct http2_session session;
	sd_event_source *io;
	bool greeted; /* it has said that it speaks HTTP/2 */
	uint64_t accepted_us;
	bool wants_write;
	uint64_t written_when_swept;
	uint64_t stalled_since_us; /* 0: it reads what is written */
	bool closed; /* the socket is; workers may still be busy with its calls */
	struct grpc_peer peer;
	struct grpc_call *calls;
	size_t call_count;
};

/* Takes the socket. */
void grpc_connection_accept(struct grpc_lane *lane, int fd);
/* Ends what its client has left half done for longer than `patience_us`, which may be the
 * connection itself. */
void grpc_connection_sweep(struct grpc_connection *c, uint64_t now_us, uint64_t patience_us);
/* Something of it is half done. */
bool grpc_connection_needs_sweep(const struct grpc_connection *c);
/* For a stream that has just begun. */
void grpc_connection_add_call(struct grpc_connection *c, struct grpc_call *call);
/* Writes what there is; asks to be told when the socket takes more. May close the connection. */
void grpc_connection_flush(struct grpc_connection *c);
/* May be called again, and then frees what its workers have finished meanwhile. */
void grpc_connection_close(struct grpc_connection *c);
/* Frees a closed connection after its last call. */
void grpc_connection_drop(struct grpc_connection *c);
void grpc_connection_close_stream(struct grpc_call *call);
/* Frees the call when nobody needs it any more. */
void grpc_connection_drop_call(struct grpc_call *call);
