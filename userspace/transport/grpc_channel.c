/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/version.h"
#include "transport/grpc_frame.h"
#include "transport/grpc_status.h"
#include "transport/http2_session.h"
#include "transport/http_upgrade.h"

#define MAX_REPLY_BYTES ((size_t)16 * 1024 * 1024) /* what containerd limits its messages to */
/* How often a thread that waits looks for a cancellation. */
#define LOOK_MS 100

struct grpc_channel {
	struct grpc_channel_options options;
	char *values[GRPC_CHANNEL_HEADERS_MAX]; /* of the headers */
	struct http2_session session;
	int64_t moved_ns; /* when bytes came or went last */
	int64_t began_ns; /* the call under way */
	/* The call under way. */
	int32_t stream;
	uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
	const uint8_t *request; /* the message that is sent */
	size_t request_length, request_sent; /* with the prefix */
	bool request_ends;
	struct grpc_frame_reader message;
	grpc_channel_reply reply;
	void *user;
	bool closed;
	uint32_t reset; /* HTTP/2's error; 0: none */
	int grpc_status; /* -1: none yet */
	char *grpc_message;
	struct error failure; /* of the callbacks: ends the call */
};

static void set_callbacks(nghttp2_session_callbacks *callbacks);

/* A server that accepts nothing has a full backlog after a while: connect(2) then waits as send(2)
 * does, and fails with EAGAIN. */
static int connect_to(const char *path, int64_t patience_ns, int *ret_fd)
{
	cleanup(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = patience_ns / NS_PER_S,
					  .tv_usec = patience_ns % NS_PER_S / 1000 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int grpc_channel_open(const struct grpc_channel_options *options, struct grpc_channel **ret_channel,
		      struct error *e)
{
	cleanup(grpc_channel_free) struct grpc_channel *ch = calloc(1, sizeof(*ch));
	int fd = -EBADF, code;

	if (!ch)
		return error_set(e, -ENOMEM, "out of memory");
	ch->session.fd = -EBADF;
	ch->options = *options;
	for (size_t i = 0; i < options->header_count; i++) {
		ch->values[i] = strdup(options->headers[i].value);
		if (!ch->values[i])
			return error_set(e, -ENOMEM, "out of memory");
	}
	code = connect_to(options->socket, options->patience_ns, &fd);
	if (code < 0)
		return error_set(e, -EAGAIN, "connect to %s at %s: %s", options->peer,
				 options->socket,
				 code == -EAGAIN ? "it accepts no connections" : strerror(-code));
	code = options->upgrade ? http_upgrade(fd, options->upgrade, options->patience_ns, e) : 0;
	if (code < 0) {
		(void)close(fd);
		return error_context(e, "%s at %s", options->peer, options->socket);
	}
	code = http2_session_open(&ch->session, fd, HTTP2_SESSION_CLIENT, set_callbacks, ch);
	if (code < 0)
		return error_set(e, code, "connect to %s at %s: %s", options->peer, options->socket,
				 strerror(-code));
	*ret_channel = take_ptr(ch);
	return 0;
}

void grpc_channel_free(struct grpc_channel *ch)
{
	if (!ch)
		return;
	http2_session_close(&ch->session);
	grpc_frame_reader_free(&ch->message);
	free(ch->grpc_message);
	for (size_t i = 0; i < ch->options.header_count; i++)
		free(ch->values[i]);
	free(ch);
}

const char *grpc_channel_peer(const struct grpc_channel *ch)
{
	return ch->options.peer;
}

static bool is(const uint8_t *name, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
		     void *user)
{
	struct grpc_channel *ch = user;

	(void)session;
	(void)flags;
	if (frame->hd.stream_id != ch->stream)
		return 0;
	/* nghttp2 ends the value with NUL. */
	if (is(name, name_length, "grpc-status"))
		ch->grpc_status = atoi((const char *)value);
	if (!is(name, name_length, "grpc-message"))
		return 0;
	free(ch->grpc_message);
	ch->grpc_message = grpc_frame_decode_text((const char *)value, length);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct grpc_channel *ch = user;

	(void)session;
	(void)flags;
	while (stream == ch->stream && length > 0 && ch->failure.code == 0) {
		int code = grpc_frame_read(&ch->message, &bytes, &length, &ch->failure);

		if (code < 0 || !grpc_frame_is_whole(&ch->message))
			continue;
		if (ch->reply)
			(void)ch->reply(ch->message.message, ch->message.length, ch->user,
					&ch->failure); /* looked at above */
		grpc_frame_next(&ch->message);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error_code,
			   void *user)
{
	struct grpc_channel *ch = user;

	(void)session;
	if (stream != ch->stream)
		return 0;
	ch->closed = true;
	ch->reset = error_code;
	return 0;
}

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

static size_t copy_part(uint8_t *to, size_t room, const uint8_t *from, size_t length)
{
	size_t part = length < room ? length : room;

	if (part > 0)
		memcpy(to, from, part);
	return part;
}

/* The request's message: the prefix, then what the caller gave. */
static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t room,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_channel *ch = source->ptr;
	size_t count = 0;

	(void)session;
	(void)stream;
	(void)user;
	if (ch->request && ch->request_sent < sizeof(ch->prefix)) {
		count = copy_part(bytes, room, ch->prefix + ch->request_sent,
				  sizeof(ch->prefix) - ch->request_sent);
		ch->request_sent += count;
	}
	if (ch->request && ch->request_sent >= sizeof(ch->prefix)) {
		size_t part = copy_part(bytes + count, room - count,
					ch->request + ch->request_sent - sizeof(ch->prefix),
					ch->request_length - ch->request_sent);

		ch->request_sent += part;
		count += part;
	}
	if (ch->request && ch->request_sent == ch->request_length)
		ch->request = NULL;
	if (!ch->request && ch->request_ends)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else if (count == 0)
		return NGHTTP2_ERR_DEFERRED;
	return (ssize_t)count;
}

/* ---- waiting ---- */

static bool is_sent(const struct grpc_channel *ch)
{
	return !ch->request;
}

static bool is_closed(const struct grpc_channel *ch)
{
	return ch->closed;
}

static int check_patience(const struct grpc_channel *ch, struct error *e)
{
	const struct grpc_channel_options *o = &ch->options;

	if (o->cancelled && atomic_load(o->cancelled))
		return error_set(e, -ECANCELED, "the call was cancelled");
	if (o->call_limit_ns && clock_monotonic_ns() - ch->began_ns >= o->call_limit_ns)
		return error_set(e, -ETIMEDOUT, "%s at %s takes longer than %lld s for its answer",
				 o->peer, o->socket, (long long)(o->call_limit_ns / NS_PER_S));
	if (clock_monotonic_ns() - ch->moved_ns < o->patience_ns)
		return 0;
	return error_set(e, -ETIMEDOUT, "%s at %s has not answered for %lld s", o->peer, o->socket,
			 (long long)(o->patience_ns / NS_PER_S));
}

static int lose(const struct grpc_channel *ch, int code, struct error *e)
{
	return error_set(e, -EAGAIN, "the connection to %s at %s was lost: %s", ch->options.peer,
			 ch->options.socket, strerror(-code));
}

/* Writes and reads once, or waits a moment for the socket. */
static int turn(struct grpc_channel *ch, struct error *e)
{
	struct pollfd p = { .fd = ch->session.fd, .events = POLLIN };
	uint64_t written = ch->session.total_written;
	int code = http2_session_write(&ch->session), ready;

	if (code < 0 && code != -EAGAIN)
		return lose(ch, code, e);
	if (code == -EAGAIN)
		p.events |= POLLOUT;
	/* The message may have gone out completely with that. */
	ready = poll(&p, 1, written != ch->session.total_written ? 0 : LOOK_MS);
	if (ready < 0 && errno != EINTR)
		return error_set(e, -errno, "poll: %s", strerror(errno));
	if (ready > 0 && (p.revents & (POLLIN | POLLHUP | POLLERR))) {
		code = http2_session_read(&ch->session);
		if (code < 0 && code != -EAGAIN)
			return lose(ch, code, e);
	}
	if (ready > 0 || written != ch->session.total_written)
		ch->moved_ns = clock_monotonic_ns();
	return check_patience(ch, e);
}

static int conclude(const struct grpc_channel *ch, struct error *e)
{
	if (ch->grpc_status == 0)
		return 0;
	if (ch->grpc_status < 0)
		return error_set(e, -EAGAIN, "%s at %s ended the call without a status (%s)",
				 ch->options.peer, ch->options.socket,
				 nghttp2_http2_strerror(ch->reset));
	return error_set(e, grpc_status_to_errno(ch->grpc_status), "%s: %s", ch->options.peer,
			 ch->grpc_message && *ch->grpc_message ? ch->grpc_message
							       : "the call failed");
}

/* Until it is done, or the server has ended the call, or it fails. */
static int run(struct grpc_channel *ch, bool (*done)(const struct grpc_channel *ch),
	       struct error *e)
{
	ch->moved_ns = clock_monotonic_ns();
	while (!done(ch) && !ch->closed) {
		int code = turn(ch, e);

		if (ch->failure.code < 0)
			return error_set(e, ch->failure.code, "%s", ch->failure.text);
		if (code < 0)
			return code;
	}
	return 0;
}

/* ---- calls ---- */

static void start_anew(struct grpc_channel *ch, grpc_channel_reply reply, void *user)
{
	ch->began_ns = clock_monotonic_ns();
	ch->request = NULL;
	ch->request_ends = false;
	ch->reply = reply;
	ch->user = user;
	ch->closed = false;
	ch->reset = 0;
	ch->grpc_status = -1;
	ch->failure.code = 0;
	free(take_ptr(ch->grpc_message));
	grpc_frame_reader_free(&ch->message);
	ch->message = (struct grpc_frame_reader){ .max_message_bytes =
							  ch->options.max_reply_bytes
								  ? ch->options.max_reply_bytes
								  : MAX_REPLY_BYTES };
}

int grpc_channel_begin(struct grpc_channel *ch, const char *path, grpc_channel_reply reply,
		       void *user, struct error *e)
{
	nghttp2_nv headers[7 + GRPC_CHANNEL_HEADERS_MAX] = {
		http2_session_header(":method", "POST"),
		http2_session_header(":scheme", "http"),
		http2_session_header(":path", path),
		http2_session_header(":authority", "localhost"),
		http2_session_header("content-type", "application/grpc"),
		http2_session_header("te", "trailers"),
		http2_session_header("user-agent", "varved/" VARVE_VERSION),
	};
	nghttp2_data_provider provider = { .source.ptr = ch, .read_callback = read_request };
	size_t count = 7;

	for (size_t i = 0; i < ch->options.header_count; i++)
		headers[count++] = http2_session_header(ch->options.headers[i].name, ch->values[i]);
	start_anew(ch, reply, user);
	ch->stream =
		nghttp2_submit_request(ch->session.nghttp2, NULL, headers, count, &provider, NULL);
	return ch->stream < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
}

int grpc_channel_send(struct grpc_channel *ch, const void *message, size_t length, struct error *e)
{
	int code;

	grpc_frame_write_prefix(ch->prefix, length);
	ch->request = message;
	ch->request_length = length + sizeof(ch->prefix);
	ch->request_sent = 0;
	/* Fails when the data was not deferred, as before the first message. */
	(void)nghttp2_session_resume_data(ch->session.nghttp2, ch->stream);
	code = run(ch, is_sent, e);
	if (code < 0 || !ch->request)
		return code;
	code = conclude(ch, e);
	return code < 0 ? code
			: error_set(e, -EPROTO, "%s at %s ended the call before its request",
				    ch->options.peer, ch->options.socket);
}

int grpc_channel_finish(struct grpc_channel *ch, struct error *e)
{
	int code;

	ch->request_ends = true;
	(void)nghttp2_session_resume_data(ch->session.nghttp2, ch->stream); /* as above */
	code = run(ch, is_closed, e);
	return code < 0 ? code : conclude(ch, e);
}

int grpc_channel_call(struct grpc_channel *ch, const char *path, const void *message, size_t length,
		      grpc_channel_reply reply, void *user, struct error *e)
{
	int code = grpc_channel_begin(ch, path, reply, user, e);

	if (code < 0)
		return code;
	code = grpc_channel_send(ch, message, length, e);
	return code < 0 ? code : grpc_channel_finish(ch, e);
}
