/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An nghttp2 session and its socket: sets both up with the limits of this project, reads, and
 * writes. Never blocks; the owner waits for the socket. One thread at a time.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of all the headers of one request or reply, as HTTP/2 counts them (32 bytes more for each). */
#define HTTP2_SESSION_MAX_HEADER_BYTES (32 * 1024)
#define HTTP2_SESSION_MAX_STREAMS 256

struct http2_session {
	nghttp2_session *nghttp2; /* NULL when closed */
	int fd;
	uint8_t *out; /* serialised and not yet written: small frames leave in one write. NULL: none
		       */
	size_t out_length;
	size_t out_written;
	uint64_t total_written;
	const uint8_t *frame; /* nghttp2's, valid until it serialises more */
	size_t frame_length;
};

enum http2_session_role { HTTP2_SESSION_SERVER, HTTP2_SESSION_CLIENT };

/* Takes the socket, also on failure (-ENOMEM). `user` is for the callbacks. */
int http2_session_open(struct http2_session *s, int fd, enum http2_session_role role,
		       void (*set_callbacks)(nghttp2_session_callbacks *callbacks), void *user);
/* Closes the socket; calls no callback. Closing twice is fine. */
void http2_session_close(struct http2_session *s);

/* Reads once, which runs the callbacks. -EAGAIN: nothing there now; -ECONNRESET: the peer is gone;
 * -EPROTO: it does not speak HTTP/2. */
int http2_session_read(struct http2_session *s);
/* Writes all output. -EAGAIN: the socket is full; call again when it is writable. */
int http2_session_write(struct http2_session *s);
/* Whether nothing is left to read or write, so that the connection can be closed. */
bool http2_session_is_over(const struct http2_session *s);

/* Borrows both texts, until the nghttp2 call that takes the result returns. */
nghttp2_nv http2_session_header(const char *name, const char *value);
