/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "transport/grpc_call.h"
#include "transport/grpc_status.h"
#include "transport/http2_session.h"

/* How long a shutdown waits for clients that do not read their replies. */
#define SHUT_DOWN_US (UINT64_C(5) * 1000000)
#define LISTENERS_MAX 8

struct connection {
	struct grpc_server *server;
	struct connection *next, **link;
	struct http2_session session;
	sd_event_source *io;
	bool wants_write;
	bool closed; /* the socket is; workers may still be busy with its calls */
	struct grpc_peer peer;
	struct grpc_call *calls;
};

struct grpc_server {
	sd_event *loop;
	struct grpc_server_options options;
	struct grpc_service *services;
	sd_event_source *listeners[LISTENERS_MAX];
	size_t listener_count;
	struct connection *connections;
	size_t connection_count;
	uint64_t next_connection;
	int wake_fd;
	sd_event_source *wake, *shut_down_timer;
	void (*shut_down_done)(void *user);
	bool draining;
	/* Calls that their workers have put something into. */
	pthread_mutex_t ready_lock;
	struct grpc_call *ready;
};

static void flush(struct connection *c);

static void wake_loop(struct grpc_call *call)
{
	struct grpc_server *s = call->connection->server;
	uint64_t one = 1;

	pthread_mutex_lock(&s->ready_lock);
	if (!call->ready) {
		call->ready = true;
		call->next_ready = s->ready;
		s->ready = call;
		/* Cannot fail: the counter is far from its end, and the loop empties it. */
		(void)!write(s->wake_fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&s->ready_lock);
}

static void unlink_ready(struct grpc_call *call)
{
	struct grpc_server *s = call->connection->server;
	struct grpc_call **at;

	pthread_mutex_lock(&s->ready_lock);
	for (at = &s->ready; *at && *at != call; at = &(*at)->next_ready)
		;
	if (*at)
		*at = call->next_ready;
	pthread_mutex_unlock(&s->ready_lock);
}

/* Frees the call when nobody needs it any more. */
static void drop_call(struct grpc_call *call)
{
	if (call->stream_open || (call->dispatched && !grpc_call_worker_is_done(call)))
		return;
	unlink_ready(call);
	*call->link = call->next_of_connection;
	if (call->next_of_connection)
		call->next_of_connection->link = call->link;
	grpc_call_free(call);
}

/* Frees a closed connection after its last call. */
static void drop_connection(struct connection *c)
{
	struct grpc_server *s = c->server;
	uint64_t id = c->peer.connection;

	if (!c->closed || c->calls)
		return;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->connection_count--;
	free(c);
	if (s->options.connection_closed)
		s->options.connection_closed(id, s->options.user);
	if (s->draining && !s->connections && s->shut_down_done) {
		void (*done)(void *user) = s->shut_down_done;

		s->shut_down_done = NULL;
		done(s->options.user);
	}
}

static void close_stream(struct grpc_call *call)
{
	call->stream_open = false;
	grpc_call_cancel(call);
	drop_call(call);
}

static void close_connection(struct connection *c)
{
	struct grpc_call *next;

	if (c->closed)
		return;
	c->closed = true;
	c->io = sd_event_source_disable_unref(c->io);
	http2_session_close(&c->session);
	for (struct grpc_call *call = c->calls; call; call = next) {
		next = call->next_of_connection;
		close_stream(call);
	}
	drop_connection(c);
}

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

static int submit_only_trailers(struct connection *c, struct grpc_call *call)
{
	cleanup(free_ptr) char *text = call->text ? grpc_frame_encode_text(call->text) : NULL;
	char status[12];
	nghttp2_nv headers[4] = {
		http2_session_header(":status", "200"),
		http2_session_header("content-type", "application/grpc"),
	};
	size_t count = 3;

	(void)snprintf(status, sizeof(status), "%d", grpc_status_from_errno(call->status));
	headers[2] = http2_session_header("grpc-status", status);
	if (text)
		headers[count++] = http2_session_header("grpc-message", text);
	return nghttp2_submit_response(c->session.nghttp2, call->stream, headers, count, NULL);
}

/* Starts the reply, or lets it go on, when there is something of it. */
static void advance_reply(struct grpc_call *call)
{
	struct connection *c = call->connection;
	nghttp2_nv headers[] = {
		http2_session_header(":status", "200"),
		http2_session_header("content-type", "application/grpc"),
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

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_server *s = user;
	uint64_t count;

	(void)source;
	(void)events;
	(void)!read(fd, &count, sizeof(count)); /* only to make it unreadable again */
	for (;;) {
		struct connection *c;
		struct grpc_call *call;

		pthread_mutex_lock(&s->ready_lock);
		call = s->ready;
		if (call) {
			s->ready = call->next_ready;
			call->ready = false;
		}
		pthread_mutex_unlock(&s->ready_lock);
		if (!call)
			return 0;
		c = call->connection;
		advance_reply(call);
		drop_call(call);
		if (c->closed)
			drop_connection(c);
		else
			flush(c);
	}
}

/* Answers without a worker. */
static void refuse(struct grpc_call *call, int code, const char *text)
{
	call->refused = true;
	grpc_call_end(call, code, text);
	advance_reply(call);
}

static void refuse_http(struct grpc_call *call, const char *status)
{
	nghttp2_nv headers[] = { http2_session_header(":status", status) };

	call->refused = true;
	call->response_submitted = true;
	grpc_call_end(call, -EINVAL, NULL);
	(void)nghttp2_submit_response(call->connection->session.nghttp2, call->stream, headers, 1,
				      NULL); /* without memory the stream just stays open */
}

static void refuse_unknown(struct grpc_call *call)
{
	const char *hint = call->connection->server->options.unimplemented_hint;
	struct error e = { 0 };

	error_set(&e, -ENOSYS, "there is no method %.200s%s%s", call->path ? call->path : "",
		  hint ? "; " : "", hint ? hint : "");
	refuse(call, e.code, e.text);
}

static int on_deadline(sd_event_source *source, uint64_t now_us, void *user)
{
	struct grpc_call *call = user;
	struct connection *c = call->connection;

	(void)source;
	(void)now_us;
	grpc_call_end(call, -ETIMEDOUT, "the call's deadline has passed");
	grpc_call_cancel(call);
	advance_reply(call);
	flush(c);
	return 0;
}

static void run_call(void *arg)
{
	struct grpc_call *call = arg;

	call->method->run(call, call->user);
}

static void dispatch(struct grpc_call *call)
{
	struct grpc_server *s = call->connection->server;
	uint64_t deadline_us;

	if (!grpc_frame_is_whole(&call->request)) {
		refuse(call, -EINVAL,
		       grpc_frame_is_empty(&call->request) ? "the call has no request message"
							   : "the request message is cut off");
		return;
	}
	if (call->timeout_ns) {
		deadline_us = (uint64_t)call->timeout_ns / 1000;
		if (sd_event_add_time_relative(s->loop, &call->deadline, CLOCK_MONOTONIC,
					       deadline_us, 0, on_deadline, call) < 0) {
			refuse(call, -ENOMEM, "out of memory");
			return;
		}
	}
	call->dispatched = true;
	if (s->options.submit(run_call, call, s->options.user) < 0) {
		call->dispatched = false;
		refuse(call, -EAGAIN, "the agent is busy; try again");
	}
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct connection *c = user;
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
	call->wake = wake_loop;
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
	struct connection *c = user;
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
			refuse(call, -EOPNOTSUPP,
			       "a call takes one request message; streams are not supported");
			return 0;
		}
		code = grpc_frame_read(&call->request, &bytes, &length, &e);
		if (code < 0)
			refuse(call, code, e.text);
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
			refuse_http(call, "405");
		else if (!call->is_grpc)
			refuse_http(call, "415");
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
		close_stream(call);
	return 0;
}

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* Writes what there is; asks to be told when the socket takes more. May close the connection. */
static void flush(struct connection *c)
{
	int err = http2_session_write(&c->session);
	bool wants_write = err == -EAGAIN;

	if ((err < 0 && err != -EAGAIN) || http2_session_is_over(&c->session) ||
	    (c->server->draining && !c->calls && !wants_write)) {
		close_connection(c);
		return;
	}
	if (wants_write == c->wants_write)
		return;
	c->wants_write = wants_write;
	if (sd_event_source_set_io_events(c->io, EPOLLIN | (wants_write ? EPOLLOUT : 0U)) < 0)
		close_connection(c);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct connection *c = user;

	(void)source;
	(void)fd;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		int err = http2_session_read(&c->session);

		if (err == -EPROTO) /* let it know, as far as it listens */
			(void)http2_session_write(&c->session);
		if (err < 0 && err != -EAGAIN) {
			close_connection(c);
			return 0;
		}
	}
	flush(c);
	return 0;
}

static void identify_peer(struct grpc_server *s, struct connection *c, int fd)
{
	struct ucred credentials = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t size = sizeof(credentials);

	/* Whom the kernel does not name is nobody. */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	c->peer = (struct grpc_peer){ .connection = ++s->next_connection,
				      .pid = credentials.pid,
				      .uid = credentials.uid,
				      .gid = credentials.gid };
}

static void accept_connection(struct grpc_server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c || s->draining || s->connection_count >= s->options.max_connections) {
		free(c);
		(void)close(fd); /* the client sees it at once, and may come again */
		return;
	}
	c->server = s;
	identify_peer(s, c, fd);
	if (http2_session_open(&c->session, fd, HTTP2_SESSION_SERVER, set_callbacks, c) < 0) {
		free(c);
		return;
	}
	if (sd_event_add_io(s->loop, &c->io, fd, EPOLLIN, on_socket, c) < 0) {
		http2_session_close(&c->session);
		free(c);
		return;
	}
	c->next = s->connections;
	c->link = &s->connections;
	if (c->next)
		c->next->link = &c->next;
	s->connections = c;
	s->connection_count++;
	flush(c);
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *user)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)events;
	if (accepted >= 0)
		accept_connection(user, accepted);
	return 0; /* a client that is gone already, or a lack of descriptors, is not the end */
}

static struct grpc_service *copy_services(const struct grpc_service *services)
{
	struct grpc_service *copy;
	size_t count = 0;

	while (services[count].methods)
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	if (copy)
		memcpy(copy, services, count * sizeof(*copy));
	return copy;
}

int grpc_server_new(sd_event *loop, const struct grpc_server_options *options,
		    struct grpc_server **ret_server, struct error *e)
{
	cleanup(grpc_server_free) struct grpc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&s->ready_lock, NULL);
	s->loop = sd_event_ref(loop);
	s->options = *options;
	s->services = copy_services(options->services);
	s->options.services = NULL;
	if (!s->services)
		return error_set(e, -ENOMEM, "out of memory");
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	if (sd_event_add_io(loop, &s->wake, s->wake_fd, EPOLLIN, on_wake, s) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_server = take_ptr(s);
	return 0;
}

int grpc_server_listen(struct grpc_server *s, int listener, struct error *e)
{
	int code;

	if (s->listener_count == LISTENERS_MAX) {
		(void)close(listener); /* nothing was written to it */
		return error_set(e, -EMFILE, "more than %d sockets to listen on", LISTENERS_MAX);
	}
	code = sd_event_add_io(s->loop, &s->listeners[s->listener_count], listener, EPOLLIN,
			       on_listener, s);
	if (code < 0) {
		(void)close(listener);
		return error_set(e, code, "listen: %s", strerror(-code));
	}
	(void)sd_event_source_set_io_fd_own(s->listeners[s->listener_count++], 1);
	return 0;
}

static int on_shut_down_timer(sd_event_source *source, uint64_t now_us, void *user)
{
	struct grpc_server *s = user;
	struct connection *next;

	(void)source;
	(void)now_us;
	for (struct connection *c = s->connections; c; c = next) {
		next = c->next;
		close_connection(c);
	}
	return 0;
}

void grpc_server_shut_down(struct grpc_server *s, void (*done)(void *user))
{
	struct connection *next;

	s->draining = true;
	for (size_t i = 0; i < s->listener_count; i++)
		s->listeners[i] = sd_event_source_disable_unref(s->listeners[i]);
	if (!s->connections) {
		done(s->options.user);
		return;
	}
	s->shut_down_done = done;
	/* Without the timer a client that does not read could only be ended by a signal. */
	(void)sd_event_add_time_relative(s->loop, &s->shut_down_timer, CLOCK_MONOTONIC,
					 SHUT_DOWN_US, 0, on_shut_down_timer, s);
	for (struct connection *c = s->connections; c; c = next) {
		next = c->next;
		if (c->closed)
			continue;
		/* Calls under way go on. Without memory the socket is just closed later. */
		(void)nghttp2_submit_goaway(
			c->session.nghttp2, NGHTTP2_FLAG_NONE,
			nghttp2_session_get_last_proc_stream_id(c->session.nghttp2),
			NGHTTP2_NO_ERROR, NULL, 0);
		flush(c);
	}
}

void grpc_server_free(struct grpc_server *s)
{
	struct connection *next;

	if (!s)
		return;
	s->shut_down_done = NULL;
	for (struct connection *c = s->connections; c; c = next) {
		next = c->next;
		close_connection(c);
	}
	for (size_t i = 0; i < s->listener_count; i++)
		sd_event_source_disable_unref(s->listeners[i]);
	sd_event_source_disable_unref(s->shut_down_timer);
	sd_event_source_disable_unref(s->wake);
	cleanup_close_fd(&s->wake_fd);
	sd_event_unref(s->loop);
	pthread_mutex_destroy(&s->ready_lock);
	free(s->services);
	free(s);
}
