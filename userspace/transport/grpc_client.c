/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/version.h"
#include "transport/grpc_frame.h"
#include "transport/grpc_status.h"
#include "transport/http2_session.h"

/* The limit of a reply message, in case the peer is not an agent. */
#define MAX_REPLY_BYTES ((size_t)64 * 1024 * 1024)

/* How long the client waits for the first frame, which an agent sends unasked. */
#define FIRST_FRAME_MS 10000

struct grpc_client {
	struct http2_session session;
	bool heard; /* the peer has spoken HTTP/2 */
	char *path; /* of the socket */
	/* The call under way. */
	int32_t stream;
	const uint8_t *request;
	size_t request_length, request_sent;
	struct grpc_frame_reader reply;
	int (*on_message)(const uint8_t *message, size_t length, void *user);
	void *user;
	bool closed;
	uint32_t reset; /* HTTP/2's error, 0: none */
	int http_status;
	int grpc_status; /* -1: none yet */
	char *grpc_message;
	int failure; /* of the callbacks: ends the call */
	struct error *e;
};

static const char *socket_path(const char *address)
{
	if (strncmp(address, "unix://", 7) == 0)
		return address + 7;
	if (strncmp(address, "unix:", 5) == 0)
		return address + 5;
	return address;
}

static int refuse_connect(const char *path, int code, struct error *e)
{
	struct stat st;

	/* connect(2) gives the same error for a file that is not a socket. */
	if (code == -ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return error_set(e, code,
				 "%s is not a socket: give the one that varved listens at (-H or "
				 "VARVE_ADDRESS)",
				 path);
	switch (code) {
	case -ENOENT:
		return error_set(e, code,
				 "no agent listens at %s: is varved running? (systemctl start "
				 "varved, or varved --socket %s)",
				 path, path);
	case -ECONNREFUSED:
		return error_set(e, code,
				 "the socket %s is left over from an agent that is gone: start "
				 "varved again",
				 path);
	case -EACCES:
		return error_set(e, code,
				 "the socket %s is for root and the group varve: join that group, "
				 "or use sudo",
				 path);
	default:
		return error_set(e, code, "connect to %s: %s", path, strerror(-code));
	}
}

static void set_callbacks(nghttp2_session_callbacks *callbacks);

int grpc_client_connect(const char *address, struct grpc_client **ret_client, struct error *e)
{
	cleanup(grpc_client_free) struct grpc_client *c = calloc(1, sizeof(*c));
	cleanup(close_fd) int fd = -EBADF;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = socket_path(address);
	int code;

	if (!c)
		return error_set(e, -ENOMEM, "out of memory");
	c->session.fd = -EBADF;
	if (strstr(path, "://") || !*path)
		return error_set(e, -EINVAL, "invalid address '%s' (expected unix:///PATH)",
				 address);
	if (strlen(path) >= sizeof(to.sun_path))
		return error_set(e, -EINVAL, "the socket path %s is longer than %zu bytes", path,
				 sizeof(to.sun_path) - 1);
	memcpy(to.sun_path, path, strlen(path) + 1);
	c->path = strdup(path);
	if (!c->path)
		return error_set(e, -ENOMEM, "out of memory");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return refuse_connect(path, -errno, e);
	code = http2_session_open(&c->session, take_fd(&fd), HTTP2_SESSION_CLIENT, set_callbacks,
				  c);
	if (code < 0)
		return error_set(e, code, "connect to %s: %s", path, strerror(-code));
	*ret_client = take_ptr(c);
	return 0;
}

void grpc_client_free(struct grpc_client *c)
{
	if (!c)
		return;
	http2_session_close(&c->session);
	grpc_frame_reader_free(&c->reply);
	free(c->grpc_message);
	free(c->path);
	free(c);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
		     void *user)
{
	struct grpc_client *c = user;

	(void)session;
	(void)flags;
	if (frame->hd.stream_id != c->stream)
		return 0;
	/* nghttp2 ends both texts with NUL. */
	if (name_length == 7 && memcmp(name, ":status", 7) == 0)
		c->http_status = atoi((const char *)value);
	else if (name_length == 11 && memcmp(name, "grpc-status", 11) == 0)
		c->grpc_status = atoi((const char *)value);
	else if (name_length == 12 && memcmp(name, "grpc-message", 12) == 0) {
		free(c->grpc_message);
		c->grpc_message = grpc_frame_decode_text((const char *)value, length);
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct grpc_client *c = user;

	(void)session;
	(void)flags;
	while (stream == c->stream && length > 0 && c->failure == 0) {
		c->failure = grpc_frame_read(&c->reply, &bytes, &length, c->e);
		if (c->failure < 0 || !grpc_frame_is_whole(&c->reply))
			continue;
		if (c->on_message)
			c->failure = c->on_message(c->reply.message, c->reply.length, c->user);
		grpc_frame_next(&c->reply);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error_code,
			   void *user)
{
	struct grpc_client *c = user;

	(void)session;
	if (stream != c->stream)
		return 0;
	c->closed = true;
	c->reset = error_code;
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	(void)session;
	(void)frame;
	((struct grpc_client *)user)->heard = true;
	return 0;
}

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* The request: the prefix, then the message. */
static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t room,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_client *c = source->ptr;
	uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
	size_t count = 0, total = c->request_length + GRPC_FRAME_PREFIX_BYTES;

	(void)session;
	(void)stream;
	(void)user;
	grpc_frame_write_prefix(prefix, c->request_length);
	while (count < room && c->request_sent < GRPC_FRAME_PREFIX_BYTES)
		bytes[count++] = prefix[c->request_sent++];
	if (count < room && c->request_sent < total) {
		size_t part = total - c->request_sent < room - count ? total - c->request_sent
								     : room - count;

		memcpy(bytes + count, c->request + c->request_sent - GRPC_FRAME_PREFIX_BYTES, part);
		c->request_sent += part;
		count += part;
	}
	if (c->request_sent == total)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)count;
}

static int submit(struct grpc_client *c, const char *path)
{
	nghttp2_nv headers[] = {
		http2_session_header(":method", "POST"),
		http2_session_header(":scheme", "http"),
		http2_session_header(":path", path),
		http2_session_header(":authority", "localhost"),
		http2_session_header("content-type", "application/grpc"),
		http2_session_header("te", "trailers"),
		http2_session_header("user-agent", "varve/" VARVE_VERSION),
	};
	nghttp2_data_provider provider = { .source.ptr = c, .read_callback = read_request };

	c->stream = nghttp2_submit_request(c->session.nghttp2, NULL, headers, ARRAY_SIZE(headers),
					   &provider, NULL);
	return c->stream < 0 ? -ENOMEM : 0;
}

/* Reads and writes until the stream is closed or something fails. */
static int exchange(struct grpc_client *c)
{
	while (!c->closed && c->failure == 0) {
		struct pollfd p = { .fd = c->session.fd, .events = POLLIN };
		int code = http2_session_write(&c->session), ready;

		if (code < 0 && code != -EAGAIN)
			return code;
		if (code == -EAGAIN)
			p.events |= POLLOUT;
		if (c->closed)
			return 0;
		ready = poll(&p, 1, c->heard ? -1 : FIRST_FRAME_MS);
		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			code = http2_session_read(&c->session);
			if (code < 0 && code != -EAGAIN)
				return code;
		}
	}
	return 0;
}

/* The reason why the connection cannot be used any more. */
static int give_up(const struct grpc_client *c, int code, struct error *e)
{
	if (c->heard)
		return error_set(e, -ECONNRESET, "the agent at %s went away during the call",
				 c->path);
	if (code == -ETIMEDOUT)
		return error_set(e, -ECONNABORTED,
				 "the process that listens at %s does not answer: check that it is "
				 "varved, and its log",
				 c->path);
	if (code == -EPROTO)
		return error_set(e, -ECONNABORTED,
				 "the process that listens at %s is not an agent of Varve",
				 c->path);
	return error_set(e, -ECONNABORTED,
			 "the process that listens at %s hung up: it is not an agent of Varve, or "
			 "an agent that is ending or has too many clients",
			 c->path);
}

static int conclude(struct grpc_client *c, struct error *e)
{
	if (c->grpc_status < 0 && c->reset == NGHTTP2_REFUSED_STREAM)
		return error_set(e, -EAGAIN, "the agent at %s has too many calls: try again",
				 c->path);
	if (c->grpc_status < 0 && c->reset)
		return error_set(e, -ECONNRESET, "the agent at %s gave the call up (%s)", c->path,
				 nghttp2_http2_strerror(c->reset));
	if (c->grpc_status < 0)
		return error_set(
			e, -EPROTO,
			"the process that listens at %s is not an agent of Varve (HTTP %d)",
			c->path, c->http_status);
	if (c->grpc_status == 0)
		return 0;
	if (!c->grpc_message || !*c->grpc_message)
		return error_set(e, grpc_status_to_errno(c->grpc_status),
				 "the call failed and the agent did not say why (gRPC status %d)",
				 c->grpc_status);
	return error_set(e, grpc_status_to_errno(c->grpc_status), "%s", c->grpc_message);
}

int grpc_client_call(struct grpc_client *c, const char *path, const void *message, size_t length,
		     int (*reply)(const uint8_t *message, size_t length, void *user), void *user,
		     struct error *e)
{
	int code;

	c->request = message;
	c->request_length = length;
	c->request_sent = 0;
	c->on_message = reply;
	c->user = user;
	c->closed = false;
	c->reset = 0;
	c->http_status = 0;
	c->grpc_status = -1;
	c->failure = 0;
	c->e = e;
	free(c->grpc_message);
	c->grpc_message = NULL;
	grpc_frame_reader_free(&c->reply);
	c->reply = (struct grpc_frame_reader){ .max_message_bytes = MAX_REPLY_BYTES };

	code = submit(c, path);
	if (code < 0)
		return error_set(e, code, "out of memory");
	code = exchange(c);
	if (c->failure < 0) {
		(void)nghttp2_submit_rst_stream(c->session.nghttp2, NGHTTP2_FLAG_NONE, c->stream,
						NGHTTP2_CANCEL);
		(void)http2_session_write(&c->session); /* the server also sees the socket close */
		return c->failure;
	}
	if (code == -EPROTO && c->heard)
		return conclude(c, e);
	return code < 0 ? give_up(c, code, e) : conclude(c, e);
}
