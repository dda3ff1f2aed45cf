/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/http2_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* With the default of 64 KiB, a large message would wait for each window update. */
#define WINDOW_BYTES (1024 * 1024)
#define READ_BYTES (64 * 1024)
#define OUT_BYTES (32 * 1024)

static int to_errno(ssize_t nghttp2_code)
{
	return nghttp2_code == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
}

static int new_session(struct http2_session *s, enum http2_session_role role,
		       const nghttp2_session_callbacks *callbacks, void *user)
{
	nghttp2_option *option;
	int code;

	code = nghttp2_option_new(&option);
	if (code < 0)
		return to_errno(code);
	/* Closed streams would be kept for the priority tree, which gRPC does not use. */
	nghttp2_option_set_no_closed_streams(option, 1);
	/* nghttp2 would drop a grpc-message that an older agent ended with a blank. */
	if (role == HTTP2_SESSION_CLIENT)
		nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
	if (role == HTTP2_SESSION_SERVER)
		code = nghttp2_session_server_new2(&s->nghttp2, callbacks, user, option);
	else
		code = nghttp2_session_client_new2(&s->nghttp2, callbacks, user, option);
	nghttp2_option_del(option);
	return code < 0 ? to_errno(code) : 0;
}

static int announce_limits(struct http2_session *s, enum http2_session_role role)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_SESSION_MAX_HEADER_BYTES },
		role == HTTP2_SESSION_SERVER
			? (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
						    HTTP2_SESSION_MAX_STREAMS }
			: (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	};
	int code;

	code = nghttp2_submit_settings(s->nghttp2, NGHTTP2_FLAG_NONE, settings,
				       ARRAY_SIZE(settings));
	if (code == 0)
		code = nghttp2_session_set_local_window_size(s->nghttp2, NGHTTP2_FLAG_NONE, 0,
							     WINDOW_BYTES);
	return code < 0 ? to_errno(code) : 0;
}

int http2_session_open(struct http2_session *s, int fd, enum http2_session_role role,
		       void (*set_callbacks)(nghttp2_session_callbacks *callbacks), void *user)
{
	nghttp2_session_callbacks *callbacks;
	int code;

	*s = (struct http2_session){ .fd = fd };
	code = nghttp2_session_callbacks_new(&callbacks);
	if (code < 0) {
		http2_session_close(s);
		return to_errno(code);
	}
	set_callbacks(callbacks);
	code = new_session(s, role, callbacks, user);
	nghttp2_session_callbacks_del(callbacks); /* the session has copied them */
	if (code == 0)
		code = announce_limits(s, role);
	if (code < 0)
		http2_session_close(s);
	return code;
}

void http2_session_close(struct http2_session *s)
{
	if (s->nghttp2)
		nghttp2_session_del(s->nghttp2);
	free(s->out);
	cleanup_close_fd(&s->fd);
	*s = (struct http2_session){ .fd = -EBADF };
}

int http2_session_read(struct http2_session *s)
{
	uint8_t bytes[READ_BYTES];
	ssize_t n;

	n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	n = nghttp2_session_mem_recv(s->nghttp2, bytes, (size_t)n);
	return n < 0 ? to_errno(n) : 0;
}

/* Moves frames of nghttp2 into the empty buffer, as many as fit. */
static int fill(struct http2_session *s)
{
	s->out_length = 0;
	s->out_written = 0;
	while (s->out_length < OUT_BYTES) {
		size_t count;

		if (s->frame_length == 0) {
			ssize_t n = nghttp2_session_mem_send(s->nghttp2, &s->frame);

			if (n < 0)
				return to_errno(n);
			if (n == 0)
				return 0;
			s->frame_length = (size_t)n;
		}
		if (!s->out && !(s->out = malloc(OUT_BYTES)))
			return -ENOMEM;
		count = OUT_BYTES - s->out_length;
		if (count > s->frame_length)
			count = s->frame_length;
		memcpy(s->out + s->out_length, s->frame, count);
		s->out_length += count;
		s->frame += count;
		s->frame_length -= count;
	}
	return 0;
}

int http2_session_write(struct http2_session *s)
{
	for (;;) {
		ssize_t n;

		if (s->out_written == s->out_length) {
			int code = fill(s);

			if (code < 0)
				return code;
			if (s->out_length == 0) {
				/* Idle connections need no buffer, and most are idle. */
				free(s->out);
				s->out = NULL;
				return 0;
			}
		}
		n = send(s->fd, s->out + s->out_written, s->out_length - s->out_written,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			s->out_written += (size_t)n;
			s->total_written += (size_t)n;
		} else if (errno != EINTR) {
			return errno == EPIPE ? -ECONNRESET : -errno;
		}
	}
}

bool http2_session_is_over(const struct http2_session *s)
{
	return s->out_written == s->out_length && s->frame_length == 0 &&
	       !nghttp2_session_want_read(s->nghttp2) && !nghttp2_session_want_write(s->nghttp2);
}

nghttp2_nv http2_session_header(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)name,
		.namelen = strlen(name),
		.value = (uint8_t *)value,
		.valuelen = strlen(value),
	};
}
