/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transport/grpc_reply.h"
#include "transport/grpc_request.h"
#include "transport/grpc_server_state.h"

static uint64_t clock_us(const struct grpc_server *s)
{
	uint64_t now = 0;

	(void)sd_event_now(s->loop, CLOCK_MONOTONIC, &now); /* fails for unknown clocks only */
	return now;
}

void grpc_connection_add_call(struct grpc_connection *c, struct grpc_call *call)
{
	call->connection = c;
	call->stream_open = true;
	call->begun_us = clock_us(c->server);
	call->next_of_connection = c->calls;
	call->link = &c->calls;
	if (c->calls)
		c->calls->link = &call->next_of_connection;
	c->calls = call;
	c->call_count++;
	c->lane->calls++;
	grpc_server_expect_sweep(c->server);
}

void grpc_connection_drop_call(struct grpc_call *call)
{
	if (call->stream_open || (call->dispatched && !grpc_call_worker_is_done(call)))
		return;
	grpc_server_forget(call);
	grpc_lane_leave(call->connection->lane, call);
	call->connection->call_count--;
	*call->link = call->next_of_connection;
	if (call->next_of_connection)
		call->next_of_connection->link = call->link;
	grpc_call_free(call);
}

void grpc_connection_drop(struct grpc_connection *c)
{
	struct grpc_server *s = c->server;
	uint64_t id = c->peer.connection;

	if (!c->closed || c->calls)
		return;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->lane->connections--;
	free(c);
	if (s->options.connection_closed)
		s->options.connection_closed(id, s->options.user);
	if (s->draining && !s->connections && s->shut_down_done) {
		void (*done)(void *user) = s->shut_down_done;

		s->shut_down_done = NULL;
		done(s->options.user);
	}
}

void grpc_connection_close_stream(struct grpc_call *call)
{
	call->stream_open = false;
	grpc_call_cancel(call);
	grpc_connection_drop_call(call);
}

void grpc_connection_close(struct grpc_connection *c)
{
	struct grpc_call *next;

	c->closed = true;
	c->io = sd_event_source_disable_unref(c->io);
	http2_session_close(&c->session);
	for (struct grpc_call *call = c->calls; call; call = next) {
		next = call->next_of_connection;
		grpc_connection_close_stream(call);
	}
	grpc_connection_drop(c);
}

void grpc_connection_flush(struct grpc_connection *c)
{
	int err = http2_session_write(&c->session);
	bool wants_write = err == -EAGAIN;

	if ((err < 0 && err != -EAGAIN) || http2_session_is_over(&c->session) ||
	    (c->server->draining && !c->calls && !wants_write)) {
		grpc_connection_close(c);
		return;
	}
	if (wants_write == c->wants_write)
		return;
	c->wants_write = wants_write;
	if (wants_write)
		grpc_server_expect_sweep(c->server);
	if (sd_event_source_set_io_events(c->io, EPOLLIN | (wants_write ? EPOLLOUT : 0U)) < 0)
		grpc_connection_close(c);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_connection *c = user;

	(void)source;
	(void)fd;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		int err = http2_session_read(&c->session);

		if (err == -EPROTO) /* let it know, as far as it listens */
			(void)http2_session_write(&c->session);
		if (err < 0 && err != -EAGAIN) {
			grpc_connection_close(c);
			return 0;
		}
	}
	grpc_connection_flush(c);
	return 0;
}

static void identify_peer(struct grpc_connection *c, int fd)
{
	struct ucred credentials = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t size = sizeof(credentials);

	/* Whom the kernel does not name is nobody. */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	c->peer = (struct grpc_peer){ .connection = ++c->server->next_connection,
				      .pid = credentials.pid,
				      .uid = credentials.uid,
				      .gid = credentials.gid,
				      .read_only = c->lane->options.read_only };
}

/* Root's are not counted: it could have what it wants otherwise. */
static bool has_too_many_connections(const struct grpc_lane *lane, const struct grpc_peer *peer)
{
	size_t count = 0;

	if (lane->connections >= lane->options.max_connections)
		return true;
	if (peer->uid == 0)
		return false;
	for (const struct grpc_connection *c = lane->server->connections; c; c = c->next)
		count += c->lane == lane && c->peer.uid == peer->uid;
	return count >= lane->options.max_connections_per_user;
}

static int open_connection(struct grpc_connection *c, int fd)
{
	int code = http2_session_open(&c->session, fd, HTTP2_SESSION_SERVER,
				      grpc_request_set_callbacks, c);

	if (code < 0)
		return code;
	code = sd_event_add_io(c->server->loop, &c->io, fd, EPOLLIN, on_socket, c);
	/* Whoever may only look waits for those who may change something. */
	if (code >= 0 && c->lane->options.read_only)
		code = sd_event_source_set_priority(c->io, SD_EVENT_PRIORITY_NORMAL + 1);
	if (code < 0) {
		c->io = sd_event_source_disable_unref(c->io);
		http2_session_close(&c->session);
	}
	return code;
}

void grpc_connection_accept(struct grpc_lane *lane, int fd)
{
	struct grpc_server *s = lane->server;
	struct grpc_connection *c = calloc(1, sizeof(*c));

	if (c) {
		c->server = s;
		c->lane = lane;
		c->accepted_us = clock_us(s);
		identify_peer(c, fd);
	}
	if (!c || s->draining || has_too_many_connections(lane, &c->peer)) {
		free(c);
		(void)close(fd); /* the client sees it at once, and may come again */
		return;
	}
	if (open_connection(c, fd) < 0) {
		free(c);
		return;
	}
	c->next = s->connections;
	c->link = &s->connections;
	if (c->next)
		c->next->link = &c->next;
	s->connections = c;
	lane->connections++;
	grpc_server_expect_sweep(s);
	grpc_connection_flush(c);
}

bool grpc_connection_needs_sweep(const struct grpc_connection *c)
{
	return !c->closed && (!c->greeted || c->wants_write || c->calls);
}

/* Keeps *since up to date; true once it has stood still for too long. */
static bool is_out_of_patience(bool stalled, uint64_t *since_us, uint64_t now_us,
			       uint64_t patience_us)
{
	if (!stalled) {
		*since_us = 0;
		return false;
	}
	if (*since_us)
		return now_us - *since_us >= patience_us;
	*since_us = now_us;
	return false;
}

static void sweep_call(struct grpc_call *call, uint64_t now_us, uint64_t patience_us)
{
	nghttp2_session *session = call->connection->session.nghttp2;

	if (!call->whole && !call->refused && now_us - call->begun_us >= patience_us) {
		grpc_reply_refuse(call, -ETIMEDOUT, "the request did not arrive in time");
		return;
	}
	if (!is_out_of_patience(grpc_call_is_stalled(call), &call->stalled_since_us, now_us,
				patience_us))
		return;
	/* Nobody reads what it says, so that a status would not arrive either. */
	grpc_call_end(call, -ETIMEDOUT, NULL);
	grpc_call_cancel(call);
	/* Without memory the next sweep does it. */
	(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
}

/* Neither a preface nor a block of headers can be answered before it is complete, and nothing else
 * can come before that. */
static bool is_stuck(const struct grpc_connection *c, uint64_t now_us, uint64_t patience_us)
{
	if (!c->greeted && now_us - c->accepted_us >= patience_us)
		return true;
	for (const struct grpc_call *call = c->calls; call; call = call->next_of_connection)
		if (call->stream_open && !call->has_headers &&
		    now_us - call->begun_us >= patience_us)
			return true;
	return false;
}

void grpc_connection_sweep(struct grpc_connection *c, uint64_t now_us, uint64_t patience_us)
{
	bool stalled = c->wants_write && c->session.total_written == c->written_when_swept;

	if (c->closed)
		return;
	c->written_when_swept = c->session.total_written;
	if (is_stuck(c, now_us, patience_us) ||
	    is_out_of_patience(stalled, &c->stalled_since_us, now_us, patience_us)) {
		grpc_connection_close(c);
		return;
	}
	for (struct grpc_call *call = c->calls; call; call = call->next_of_connection)
		if (call->stream_open)
			sweep_call(call, now_us, patience_us);
	grpc_connection_flush(c);
}
