/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's socket, the session on it, and its streams, which end with it. Private to the
 * server, in the loop's thread.
 */
#pragma once

#include "transport/grpc_lane.h"
#include "transport/grpc_stream.h"
#include "transport/http2_session.h"

struct grpc_server;

struct grpc_connection {
	struct grpc_server *server;
	struct grpc_lane *lane;
	struct grpc_origin *origin; /* stays for the calls that outlive the connection */
	struct grpc_connection *next, **link;
	struct http2_session session;
	sd_event_source *io;
	struct grpc_stream *streams;
	uint64_t accepted_us, heard_us; /* heard: something was read, or it was accepted */
	bool greeted; /* it has said that it speaks HTTP/2 */
	bool wants_write;
	uint64_t written_when_swept;
	uint64_t stalled_since_us; /* 0: it reads what is written */
};

/* Takes the socket, also on failure, and puts the connection at the head of the server's. The user
 * pointer of the callbacks is the connection. */
int grpc_connection_open(struct grpc_server *s, struct grpc_lane *lane, int fd,
			 const struct grpc_peer *peer,
			 void (*set_callbacks)(nghttp2_session_callbacks *callbacks));
/* Frees it, with its streams. Their calls are cancelled. */
void grpc_connection_close(struct grpc_connection *c);
/* Writes what there is; asks to be told when the socket takes more. May close the connection, which
 * must not be touched afterwards. Not for callbacks of the session. */
void grpc_connection_flush(struct grpc_connection *c);
/* Tells the client to make no more calls; closes the connection when none is left. */
void grpc_connection_go_away(struct grpc_connection *c);
/* Says so, too, and closes the connection at once. */
void grpc_connection_evict(struct grpc_connection *c);

/* Ends what its client has left half done for longer than `patience_us`, which may be the
 * connection itself. */
void grpc_connection_sweep(struct grpc_connection *c, uint64_t now_us, uint64_t patience_us);
/* Something of it is half done. */
bool grpc_connection_needs_sweep(const struct grpc_connection *c);
/* Has what is half done looked at after a while. */
void grpc_connection_expect_sweep(struct grpc_server *s);
/* Of the loop's current iteration. */
uint64_t grpc_connection_clock_us(const struct grpc_server *s);
