/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_request.h"

#include <errno.h>
#include <string.h>

#include "transport/grpc_connection.h"
#include "transport/grpc_reply.h"
#include "transport/grpc_server_state.h"

/* What HTTP/2 counts for a header besides its name and value. */
#define HEADER_OVERHEAD_BYTES 32
/* The loop's own default is a quarter of a second. */
#define DEADLINE_ACCURACY_US 1000

static int on_deadline(sd_event_source *source, uint64_t now_us, void *user)
{
	struct grpc_call *call = user;
	struct grpc_connection *c = call->connection;

	(void)source;
	(void)now_us;
	call->refused = !call->whole;
	grpc_call_end(call, -ETIMEDOUT, "the call's deadline has passed");
	grpc_call_cancel(call);
	grpc_reply_advance(call);
	grpc_connection_flush(c);
	return 0;
}

static int start_deadline(struct grpc_call *call)
{
	uint64_t us = (uint64_t)call->timeout_ns / 1000;

	if (!call->timeout_ns)
		return 0;
	return sd_event_add_time_relative(call->connection->server->loop, &call->deadline,
					  CLOCK_MONOTONIC, us, DEADLINE_ACCURACY_US, on_deadline,
					  call);
}

static void refuse_unknown(struct grpc_call *call)
{
	const char *hint = call->connection->server->options.unimplemented_hint;
	struct error e = { 0 };

	error_set(&e, -ENOSYS, "there is no method %.200s%s%s", call->path ? call->path : "",
		  hint ? "; " : "", hint ? hint : "");
	grpc_reply_refuse(call, e.code, e.text);
}

/* -EPERM with a sentence for who may not make this call. */
static int authorize(struct grpc_call *call, struct error *e)
{
	struct grpc_connection *c = call->connection;
	const struct grpc_server_options *o = &c->server->options;

	if (!o->authorize)
		return 0;
	return o->authorize(&c->peer, c->session.fd, call->method, o->user, e);
}

/* All headers are there: most of what can be wrong is seen before any data is taken. */
static void examine(struct grpc_call *call)
{
	struct error e = { 0 };

	call->has_headers = true;
	if (call->header_bytes > HTTP2_SESSION_MAX_HEADER_BYTES)
		grpc_reply_refuse(call, -EMSGSIZE,
				  "the headers are longer than the limit of 32 KiB");
	else if (!call->is_post)
		grpc_reply_refuse_http(call, "405");
	else if (!call->is_grpc)
		grpc_reply_refuse_http(call, "415");
	else if (!call->method)
		refuse_unknown(call);
	else if (authorize(call, &e) < 0)
		grpc_reply_refuse(call, e.code, e.text);
	else if (call->is_encoded)
		grpc_reply_refuse(call, -EOPNOTSUPP, "compressed messages are not supported");
	else if (start_deadline(call) < 0)
		grpc_reply_refuse(call, -ENOMEM, "out of memory");
}

static void dispatch(struct grpc_call *call)
{
	if (!grpc_frame_is_whole(&call->request)) {
		grpc_reply_refuse(call, -EINVAL,
				  grpc_frame_is_empty(&call->request)
					  ? "the call has no request message"
					  : "the request message is cut off");
		return;
	}
	call->whole = true;
	if (grpc_lane_submit(call->connection->lane, call) < 0)
		grpc_reply_refuse(call, -EAGAIN, "the agent is busy; try again");
}

/* A stream more than its client, or all clients together, may have. */
static bool is_one_too_many(const struct grpc_connection *c)
{
	/* Streams that were reset are calls as long as their workers have not noticed. */
	return c->call_count >= 2 * (size_t)HTTP2_SESSION_MAX_STREAMS ||
	       c->lane->calls >= c->lane->options.max_calls;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *c = user;
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (is_one_too_many(c)) {
		if (nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
					      NGHTTP2_REFUSED_STREAM) < 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		return 0;
	}
	call = grpc_call_new(c->server->options.max_message_bytes, &c->lane->budget);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call->stream = frame->hd.stream_id;
	call->peer = c->peer;
	call->enqueue = grpc_server_enqueue;
	call->wake_fd = c->server->wake_fd;
	grpc_connection_add_call(c, call);
	nghttp2_session_set_stream_user_data(session, call->stream, call);
	return 0;
}

static bool is(const uint8_t *text, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(text, wanted, length) == 0;
}

static void find_method(const struct grpc_server *s, struct grpc_call *call)
{
	for (const struct grpc_service *service = s->services; service->methods; service++)
		for (const struct grpc_method *method = service->methods; method->path; method++)
			if (strcmp(method->path, call->path) == 0) {
				call->method = method;
				call->user = service->user;
				return;
			}
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
		     void *user)
{
	struct grpc_connection *c = user;
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	if (!call || call->has_headers)
		return 0;
	call->header_bytes += name_length + length + HEADER_OVERHEAD_BYTES;
	if (call->header_bytes > HTTP2_SESSION_MAX_HEADER_BYTES)
		return 0; /* what it says does not matter any more */
	if (is(name, name_length, ":method"))
		call->is_post = is(value, length, "POST");
	else if (is(name, name_length, "content-type"))
		call->is_grpc = grpc_frame_is_content_type((const char *)value, length);
	else if (is(name, name_length, "grpc-encoding"))
		call->is_encoded = !is(value, length, "identity");
	else if (is(name, name_length, "grpc-timeout"))
		/* A timeout that nobody can read is none. */
		(void)grpc_frame_parse_timeout((const char *)value, length, &call->timeout_ns);
	if (!is(name, name_length, ":path") || call->path)
		return 0;
	call->path = strndup((const char *)value, length);
	if (!call->path)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	find_method(c->server, call);
	return 0;
}

/* Takes what is there of the request's only message. */
static void take_data(struct grpc_call *call, const uint8_t *bytes, size_t length)
{
	struct error e = { 0 };

	while (!call->refused && !call->whole && length > 0) {
		int code;

		if (grpc_frame_is_whole(&call->request)) {
			grpc_reply_refuse(
				call, -EOPNOTSUPP,
				"a call takes one request message; streams are not supported");
			return;
		}
		if (atomic_load(&call->budget->held_bytes) > call->budget->max_held_bytes) {
			grpc_reply_refuse(call, -EAGAIN,
					  "the agent holds too much for its clients; try again");
			return;
		}
		code = grpc_frame_read(&call->request, &bytes, &length, &e);
		if (code < 0)
			grpc_reply_refuse(call, code, e.text);
		grpc_call_hold_request(call);
	}
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);

	(void)flags;
	(void)user;
	if (call)
		take_data(call, bytes, length);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *c = user;
	struct grpc_call *call = NULL;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		c->greeted = true;
	if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
		call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!call || call->refused || call->whole)
		return 0;
	if (!call->has_headers)
		examine(call);
	if (!call->refused && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		dispatch(call);
	return 0;
}

/* The reply is complete and the client still sends: it need not. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	int32_t stream = frame->hd.stream_id;

	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    nghttp2_session_get_stream_remote_close(session, stream) != 0)
		return 0;
	return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR) < 0
		       ? NGHTTP2_ERR_CALLBACK_FAILURE
		       : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error_code,
			   void *user)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);

	(void)error_code;
	(void)user;
	if (call)
		grpc_connection_close_stream(call);
	return 0;
}

void grpc_request_set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
