/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's socket, the session on it, and its streams, which end with it. Private to the
 * server, in the loop.
 */
#pragma once

#include "transport/grpc_lane.h"
#include "transport/grpc_stream.h"
#include "transport/http2_session.h"

struct grpc_server;

struct grpc_connection {
	struct grpc_server *server;
	struct grpc_lane *lane;
	struct grpc_origin *origin; /* outlives the connection while calls run */
	struct grpc_connection *next, **link;
	struct http2_session session;
	sd_event_source *io;
	struct grpc_stream *streams;
	uint64_t accepted_us, heard_us; /* last read from it, or accepted */
	bool greeted; /* the client has sent its HTTP/2 preface */
	bool wants_write;
	uint64_t written_when_moving; /* session.total_written when it last was not stalled */
	uint64_t stalled_since_us; /* 0: the client reads what is written */
};

/* Takes the socket, also on failure, and puts the connection at the head of the server's. The user
 * pointer of the callbacks is the connection. */
int grpc_connection_open(struct grpc_server *s, struct grpc_lane *lane, int fd,
			 const struct grpc_peer *peer,
			 void (*set_callbacks)(nghttp2_session_callbacks *callbacks));
/* Frees it, with its streams. Their calls are cancelled. */
void grpc_connection_close(struct grpc_connection *c);
/* Writes what is queued, and waits for the socket if it is full. May close the connection, after
 * which the caller must not touch it. Must not be called from callbacks of the session. */
void grpc_connection_flush(struct grpc_connection *c);
/* Tells the client to make no more calls, and closes the connection after the last one. */
void grpc_connection_go_away(struct grpc_connection *c);
/* Tells the client the same, and closes the connection at once. */
void grpc_connection_evict(struct grpc_connection *c);

/* Ends whatever the client has left unfinished for longer than `patience_us`, which may be the
 * connection itself. */
void grpc_connection_sweep(struct grpc_connection *c, uint64_t now_us, uint64_t patience_us);
/* Whether anything of it is unfinished. */
bool grpc_connection_needs_sweep(const struct grpc_connection *c);
/* Starts the timer of the sweep, which ends what stays unfinished. */
void grpc_connection_expect_sweep(struct grpc_server *s);
/* The time of the loop's current iteration. */
uint64_t grpc_connection_clock_us(const struct grpc_server *s);
