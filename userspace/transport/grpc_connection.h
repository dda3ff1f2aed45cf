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
	struct grpc_connection *next, **link;
	struct http2_session session;
	sd_event_source *io;
	bool wants_write;
	bool closed; /* the socket is; workers may still be busy with its calls */
	struct grpc_peer peer;
	struct grpc_call *calls;
};

/* Takes the socket. */
void grpc_connection_accept(struct grpc_server *s, int fd);
/* Writes what there is; asks to be told when the socket takes more. May close the connection. */
void grpc_connection_flush(struct grpc_connection *c);
void grpc_connection_close(struct grpc_connection *c);
/* Frees a closed connection after its last call. */
void grpc_connection_drop(struct grpc_connection *c);
void grpc_connection_close_stream(struct grpc_call *call);
/* Frees the call when nobody needs it any more. */
void grpc_connection_drop_call(struct grpc_call *call);
