/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_reply.h"

#include <errno.h>
#include <stdio.h>

#include "transport/grpc_connection.h"
#include "transport/grpc_status.h"

static ssize_t read_reply(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t room,
			  uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_call *call = source->ptr;
	cleanup(free_ptr) char *text = NULL;
	char status[12];
	nghttp2_nv trailers[2];
	size_t count = 1, taken;
	bool end;

	(void)user;
	taken = grpc_call_take(call, bytes, room, &end);
	if (!end)
		return taken ? (ssize_t)taken : NGHTTP2_ERR_DEFERRED;
	(void)snprintf(status, sizeof(status), "%d", grpc_status_from_errno(call->status));
	trailers[0] = http2_session_header("grpc-status", status);
	text = call->text ? grpc_frame_encode_text(call->text) : NULL;
	if (text)
		trailers[count++] = http2_session_header("grpc-message", text);
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(session, stream, trailers, count) < 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return (ssize_t)taken;
}

static int submit_only_trailers(struct grpc_connection *c, struct grpc_call *call)
{
	cleanup(free_ptr) char *text = call->text ? grpc_frame_encode_text(call->text) : NULL;
	char status[12];
	nghttp2_nv headers[5] = {
		http2_session_header(":status", "200"),
		http2_session_header("content-type", "application/grpc"),
		http2_session_header("grpc-accept-encoding", "identity"),
	};
	size_t count = 4;

	(void)snprintf(status, sizeof(status), "%d", grpc_status_from_errno(call->status));
	headers[3] = http2_session_header("grpc-status", status);
	if (text)
		headers[count++] = http2_session_header("grpc-message", text);
	return nghttp2_submit_response(c->session.nghttp2, call->stream, headers, count, NULL);
}

void grpc_reply_advance(struct grpc_call *call)
{
	struct grpc_connection *c = call->connection;
	nghttp2_nv headers[] = {
		http2_session_header(":status", "200"),
		http2_session_header("content-type", "application/grpc"),
		http2_session_header("grpc-accept-encoding", "identity"),
	};
	nghttp2_data_provider provider = { .source.ptr = call, .read_callback = read_reply };
	int err;

	if (!call->stream_open || !grpc_call_has_output(call))
		return;
	if (call->response_submitted)
		err = nghttp2_session_resume_data(c->session.nghttp2, call->stream);
	else if (grpc_call_is_only_trailers(call))
		err = submit_only_trailers(c, call);
	else
		err = nghttp2_submit_response(c->session.nghttp2, call->stream, headers,
					      ARRAY_SIZE(headers), &provider);
	call->response_submitted = true;
	/* Resuming what is not deferred is refused, and needs nothing. */
	if (err == NGHTTP2_ERR_NOMEM)
		(void)nghttp2_submit_rst_stream(c->session.nghttp2, NGHTTP2_FLAG_NONE, call->stream,
						NGHTTP2_INTERNAL_ERROR);
}

void grpc_reply_refuse(struct grpc_call *call, int code, const char *text)
{
	call->refused = true;
	grpc_call_end(call, code, text);
	grpc_reply_advance(call);
}

void grpc_reply_refuse_http(struct grpc_call *call, const char *status)
{
	nghttp2_nv headers[] = { http2_session_header(":status", status) };

	call->refused = true;
	call->response_submitted = true;
	grpc_call_end(call, -EINVAL, NULL);
	(void)nghttp2_submit_response(call->connection->session.nghttp2, call->stream, headers, 1,
				      NULL); /* without memory the stream just stays open */
}
