/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_reply.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "transport/grpc_status.h"
#include "transport/http2_session.h"

#define STATUS_BYTES 12

/* grpc-status, and grpc-message if there is a text. Borrows both buffers. */
static size_t write_trailers(const struct grpc_outbox *o, char status[STATUS_BYTES],
			     const char *text, nghttp2_nv trailers[2])
{
	(void)snprintf(status, STATUS_BYTES, "%d", grpc_status_from_errno(o->status));
	trailers[0] = http2_session_header("grpc-status", status);
	if (!text)
		return 1;
	trailers[1] = http2_session_header("grpc-message", text);
	return 2;
}

static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t room,
			  uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_stream *stream = source->ptr;
	struct grpc_outbox *o = &stream->call->outbox;
	cleanup(free_ptr) char *text = NULL;
	char status[STATUS_BYTES];
	nghttp2_nv trailers[2];
	size_t count, taken;
	bool end;

	(void)user;
	taken = grpc_outbox_take(o, bytes, room, &end);
	if (!end)
		return taken ? (ssize_t)taken : NGHTTP2_ERR_DEFERRED;
	text = o->text ? grpc_frame_encode_text(o->text) : NULL;
	count = write_trailers(o, status, text, trailers);
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(session, id, trailers, count) < 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	stream->answered = true;
	return (ssize_t)taken;
}

static size_t write_headers(nghttp2_nv headers[3])
{
	headers[0] = http2_session_header(":status", "200");
	headers[1] = http2_session_header("content-type", "application/grpc");
	headers[2] = http2_session_header("grpc-accept-encoding", "identity");
	return 3;
}

static int submit_only_trailers(struct grpc_stream *stream)
{
	const struct grpc_outbox *o = &stream->call->outbox;
	cleanup(free_ptr) char *text = o->text ? grpc_frame_encode_text(o->text) : NULL;
	char status[STATUS_BYTES];
	nghttp2_nv headers[5];
	size_t count = write_headers(headers);

	count += write_trailers(o, status, text, headers + count);
	stream->answered = true;
	return nghttp2_submit_response(stream->session, stream->id, headers, count, NULL);
}

static int submit_response(struct grpc_stream *stream)
{
	nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_reply };
	nghttp2_nv headers[3];
	size_t count = write_headers(headers);

	return nghttp2_submit_response(stream->session, stream->id, headers, count, &provider);
}

void grpc_reply_advance(struct grpc_stream *stream)
{
	struct grpc_outbox *o = &stream->call->outbox;
	int code;

	if (!grpc_outbox_has_output(o))
		return;
	if (stream->response_submitted)
		code = nghttp2_session_resume_data(stream->session, stream->id);
	else if (grpc_outbox_is_only_trailers(o))
		code = submit_only_trailers(stream);
	else
		code = submit_response(stream);
	stream->response_submitted = true;
	/* Resuming a stream that is not deferred is refused, and is not needed. */
	if (code == NGHTTP2_ERR_NOMEM)
		(void)nghttp2_submit_rst_stream(stream->session, NGHTTP2_FLAG_NONE, stream->id,
						NGHTTP2_INTERNAL_ERROR);
}

void grpc_reply_refuse(struct grpc_stream *stream, int code, const char *text)
{
	stream->refused = true;
	grpc_outbox_end(&stream->call->outbox, code, text);
	grpc_reply_advance(stream);
}

void grpc_reply_refuse_http(struct grpc_stream *stream, const char *status)
{
	nghttp2_nv headers[] = { http2_session_header(":status", status) };

	stream->refused = true;
	stream->response_submitted = stream->answered = true;
	grpc_outbox_end(&stream->call->outbox, -EINVAL, NULL);
	/* Out of memory, the stream stays open until the sweep ends it. */
	(void)nghttp2_submit_response(stream->session, stream->id, headers, 1, NULL);
}
