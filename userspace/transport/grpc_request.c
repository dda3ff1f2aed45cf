/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_request.h"

#include <errno.h>
#include <string.h>

#include "transport/grpc_connection.h"
#include "transport/grpc_reply.h"
#include "transport/grpc_server_state.h"

static int on_deadline(sd_event_source *source, uint64_t now_us, void *user)
{
	struct grpc_call *call = user;
	struct grpc_connection *c = call->connection;

	(void)source;
	(void)now_us;
	grpc_call_end(call, -ETIMEDOUT, "the call's deadline has passed");
	grpc_call_cancel(call);
	grpc_reply_advance(call);
	grpc_connection_flush(c);
	return 0;
}

static void run_call(void *arg)
{
	struct grpc_call *call = arg;

	call->method->run(call, call->user);
}

static void refuse_unknown(struct grpc_call *call)
{
	const char *hint = call->connection->server->options.unimplemented_hint;
	struct error e = { 0 };

	error_set(&e, -ENOSYS, "there is no method %.200s%s%s", call->path ? call->path : "",
		  hint ? "; " : "", hint ? hint : "");
	grpc_reply_refuse(call, e.code, e.text);
}

static void dispatch(struct grpc_call *call)
{
	struct grpc_server *s = call->connection->server;
	uint64_t deadline_us;

	if (!grpc_frame_is_whole(&call->request)) {
		grpc_reply_refuse(call, -EINVAL,
				  grpc_frame_is_empty(&call->request)
					  ? "the call has no request message"
					  : "the request message is cut off");
		return;
	}
	if (call->timeout_ns) {
		deadline_us = (uint64_t)call->timeout_ns / 1000;
		if (sd_event_add_time_relative(s->loop, &call->deadline, CLOCK_MONOTONIC,
					       deadline_us, 0, on_deadline, call) < 0) {
			grpc_reply_refuse(call, -ENOMEM, "out of memory");
			return;
		}
	}
	call->dispatched = true;
	if (s->options.submit(run_call, call, s->options.user) < 0) {
		call->dispatched = false;
		grpc_reply_refuse(call, -EAGAIN, "the agent is busy; try again");
	}
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *c = user;
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = grpc_call_new(c->server->options.max_message_bytes);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call->connection = c;
	call->stream = frame->hd.stream_id;
	call->stream_open = true;
	call->peer = c->peer;
	call->wake = grpc_server_wake;
	call->next_of_connection = c->calls;
	call->link = &c->calls;
	if (c->calls)
		c->calls->link = &call->next_of_connection;
	c->calls = call;
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
	if (!call || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (is(name, name_length, ":method"))
		call->is_post = is(value, length, "POST");
	else if (is(name, name_length, "content-type"))
		call->is_grpc = grpc_frame_is_content_type((const char *)value, length);
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

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
	struct error e = { 0 };

	(void)flags;
	(void)user;
	while (call && !call->refused && !call->dispatched && length > 0) {
		int code;

		if (grpc_frame_is_whole(&call->request)) {
			grpc_reply_refuse(
				call, -EOPNOTSUPP,
				"a call takes one request message; streams are not supported");
			return 0;
		}
		code = grpc_frame_read(&call->request, &bytes, &length, &e);
		if (code < 0)
			grpc_reply_refuse(call, code, e.text);
	}
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_call *call = NULL;

	(void)user;
	if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
		call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!call || call->refused || call->dispatched)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		if (!call->is_post)
			grpc_reply_refuse_http(call, "405");
		else if (!call->is_grpc)
			grpc_reply_refuse_http(call, "415");
		else if (!call->method)
			refuse_unknown(call);
	}
	if (!call->refused && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		dispatch(call);
	return 0;
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
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
