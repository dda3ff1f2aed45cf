/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 stream, which brings a request and takes its reply away. It belongs to its connection,
 * owns the timer of its call's deadline, and parts with the call when it is closed: whatever fires
 * or runs afterwards has no way back to it. Private to the server, in the loop.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <systemd/sd-event.h>

#include "transport/grpc_call_state.h"

struct grpc_connection;
struct grpc_meters;

struct grpc_stream {
	struct grpc_connection *connection;
	struct grpc_meters *meters; /* of the server */
	nghttp2_session *session; /* the connection's */
	struct grpc_stream *next, **link; /* of the connection */
	int32_t id;
	struct grpc_call *call; /* always there; the other way round, until this is closed */
	uint64_t begun_us;
	sd_event_source *deadline; /* NULL: none, or it has not begun */
	/* Of its headers. */
	char *path; /* NULL: none yet */
	int64_t timeout_ns; /* 0: none */
	size_t header_bytes;
	bool is_post, is_grpc, is_encoded;
	bool has_headers; /* all of them */

	bool whole; /* the request is, and has gone to the lane */
	bool refused; /* answered without a worker */
	bool response_submitted;
	bool answered; /* its trailers have been handed to the session */
	uint64_t stalled_since_us; /* 0: its reply moves, or there is none */
};

/* Takes the call, which is the stream's until a worker has it. Puts it at the head of *list. NULL:
 * out of memory; the call stays the caller's. */
struct grpc_stream *grpc_stream_open(struct grpc_stream **list, int32_t id, struct grpc_call *call);
/* Cancels the call, and frees it unless it runs. */
void grpc_stream_close(struct grpc_stream *stream);
