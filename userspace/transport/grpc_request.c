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
	struct grpc_stream *stream = user;

	(void)source;
	(void)now_us;
	stream->refused = !stream->whole;
	grpc_outbox_end(&stream->call->outbox, -ETIMEDOUT, "the call's deadline has passed");
	grpc_outbox_cancel(&stream->call->outbox);
	grpc_reply_advance(stream);
	grpc_connection_flush(stream->connection);
	return 0;
}

static int start_deadline(struct grpc_stream *stream)
{
	uint64_t us = (uint64_t)stream->timeout_ns / 1000;

	if (!stream->timeout_ns)
		return 0;
	return sd_event_add_time_relative(stream->connection->server->loop, &stream->deadline,
					  CLOCK_MONOTONIC, us, DEADLINE_ACCURACY_US, on_deadline,
					  stream);
}

static void refuse_unknown(struct grpc_stream *stream)
{
	const char *hint = stream->connection->server->options.unimplemented_hint;
	struct error e = { 0 };

	error_set(&e, -ENOSYS, "unknown method %.200s%s%s", stream->path ? stream->path : "",
		  hint ? "; " : "", hint ? hint : "");
	grpc_reply_refuse(stream, e.code, e.text);
}

/* -EPERM, with a text, for a peer that may not make this call. */
static int authorize(struct grpc_stream *stream, struct error *e)
{
	struct grpc_connection *c = stream->connection;
	const struct grpc_server_options *o = &c->server->options;

	if (!o->authorize)
		return 0;
	return o->authorize(&c->origin->peer, c->session.fd, stream->call->method, o->user, e);
}

/* All headers are there: most faults are found before any data is taken. */
static void examine(struct grpc_stream *stream)
{
	struct error e = { 0 };

	stream->has_headers = true;
	if (stream->call->method)
		grpc_meters_begin(&stream->connection->server->meters, stream->call->method);
	if (stream->header_bytes > HTTP2_SESSION_MAX_HEADER_BYTES)
		grpc_reply_refuse(stream, -EMSGSIZE,
				  "the headers are longer than the limit of 32 KiB");
	else if (!stream->is_post)
		grpc_reply_refuse_http(stream, "405");
	else if (!stream->is_grpc)
		grpc_reply_refuse_http(stream, "415");
	else if (!stream->call->method)
		refuse_unknown(stream);
	else if (authorize(stream, &e) < 0)
		grpc_reply_refuse(stream, e.code, e.text);
	else if (stream->is_encoded)
		grpc_reply_refuse(stream, -EOPNOTSUPP, "compressed messages are not supported");
	else if (start_deadline(stream) < 0)
		grpc_reply_refuse(stream, -ENOMEM, "out of memory");
}

static void dispatch(struct grpc_stream *stream)
{
	const struct grpc_frame_reader *request = &stream->call->request;

	if (!grpc_frame_is_whole(request)) {
		grpc_reply_refuse(stream, -EINVAL,
				  grpc_frame_is_empty(request) ? "the call has no request message"
							       : "the request message is cut off");
		return;
	}
	stream->whole = true;
	if (grpc_lane_submit(stream->call) < 0)
		grpc_reply_refuse(stream, -EAGAIN, "the agent is busy; try again");
}

/* Another call would exceed the limit of the client, of its user, or of all clients together. */
static bool is_one_too_many(const struct grpc_connection *c)
{
	/* Calls whose streams were reset count until their workers have noticed. */
	return c->origin->calls >= 2 * (size_t)HTTP2_SESSION_MAX_STREAMS ||
	       !grpc_lane_has_room(c->origin);
}

static struct grpc_call *new_call(struct grpc_connection *c)
{
	size_t max = c->lane->options.max_message_bytes;
	struct grpc_call *call = grpc_call_new(&c->server->mailbox, &c->origin->user->share,
					       max ? max : c->server->options.max_message_bytes);

	if (call)
		call->peer = c->origin->peer;
	return call;
}

static int open_stream(struct grpc_connection *c, int32_t id)
{
	struct grpc_call *call = new_call(c);
	struct grpc_stream *stream = call ? grpc_stream_open(&c->streams, id, call) : NULL;

	if (!stream) {
		grpc_call_free(call);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	grpc_lane_add_call(c->origin, call);
	stream->connection = c;
	stream->meters = &c->server->meters;
	stream->session = c->session.nghttp2;
	stream->begun_us = grpc_connection_clock_us(c->server);
	nghttp2_session_set_stream_user_data(stream->session, id, stream);
	grpc_connection_expect_sweep(c->server);
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *c = user;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (!is_one_too_many(c))
		return open_stream(c, frame->hd.stream_id);
	return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
					 NGHTTP2_REFUSED_STREAM) < 0
		       ? NGHTTP2_ERR_CALLBACK_FAILURE
		       : 0;
}

static bool is(const uint8_t *text, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(text, wanted, length) == 0;
}

static void find_method(const struct grpc_server *s, struct grpc_stream *stream)
{
	for (const struct grpc_service *service = s->services; service->methods; service++)
		for (const struct grpc_method *method = service->methods; method->path; method++)
			if (strcmp(method->path, stream->path) == 0) {
				stream->call->method = method;
				stream->call->user = service->user;
				return;
			}
}

static int read_path(struct grpc_stream *stream, const uint8_t *value, size_t length)
{
	if (stream->path)
		return 0;
	stream->path = strndup((const char *)value, length);
	if (!stream->path)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	find_method(stream->connection->server, stream);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
		     void *user)
{
	struct grpc_stream *stream =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)user;
	if (!stream || stream->has_headers)
		return 0;
	stream->header_bytes += name_length + length + HEADER_OVERHEAD_BYTES;
	if (stream->header_bytes > HTTP2_SESSION_MAX_HEADER_BYTES)
		return 0; /* the call will be refused */
	if (is(name, name_length, ":path"))
		return read_path(stream, value, length);
	if (is(name, name_length, ":method"))
		stream->is_post = is(value, length, "POST");
	else if (is(name, name_length, "content-type"))
		stream->is_grpc = grpc_frame_is_content_type((const char *)value, length);
	else if (is(name, name_length, "grpc-encoding"))
		stream->is_encoded = !is(value, length, "identity");
	else if (is(name, name_length, "grpc-timeout"))
		/* An invalid timeout is ignored. */
		(void)grpc_frame_parse_timeout((const char *)value, length, &stream->timeout_ns);
	return 0;
}

/* Takes the bytes that have arrived of the request's only message. */
static void take_data(struct grpc_stream *stream, const uint8_t *bytes, size_t length)
{
	struct grpc_call *call = stream->call;
	struct error e = { 0 };

	while (!stream->refused && !stream->whole && length > 0) {
		int code;

		if (grpc_frame_is_whole(&call->request)) {
			grpc_reply_refuse(
				stream, -EOPNOTSUPP,
				"a call takes one request message; streams are not supported");
			return;
		}
		if (grpc_budget_is_spent(call->outbox.share)) {
			grpc_reply_refuse(stream, -EAGAIN,
					  "the agent holds too much for its clients; try again");
			return;
		}
		code = grpc_frame_read(&call->request, &bytes, &length, &e);
		if (code < 0)
			grpc_reply_refuse(stream, code, e.text);
		grpc_call_hold_request(call);
	}
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct grpc_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	(void)user;
	if (stream)
		take_data(stream, bytes, length);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *c = user;
	struct grpc_stream *stream = NULL;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		c->greeted = true;
	if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
		stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!stream || stream->refused || stream->whole)
		return 0;
	if (!stream->has_headers)
		examine(stream);
	if (!stream->refused && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		dispatch(stream);
	return 0;
}

/* Once its reply is complete, a client that still sends is told to stop. */
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

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
	struct grpc_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)error_code;
	(void)user;
	if (stream)
		grpc_stream_close(stream);
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
