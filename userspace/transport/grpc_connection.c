/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "transport/grpc_reply.h"
#include "transport/grpc_server_state.h"

#define SWEEPS_PER_PATIENCE 8

uint64_t grpc_connection_clock_us(const struct grpc_server *s)
{
	uint64_t now = 0;

	(void)sd_event_now(s->loop, CLOCK_MONOTONIC, &now); /* fails for unknown clocks only */
	return now;
}

void grpc_connection_expect_sweep(struct grpc_server *s)
{
	uint64_t us = s->options.patience_us / SWEEPS_PER_PATIENCE;

	if (!s->sweeping && sd_event_source_set_time_relative(s->sweep, us) >= 0 &&
	    sd_event_source_set_enabled(s->sweep, SD_EVENT_ONESHOT) >= 0)
		s->sweeping = true;
}

void grpc_connection_close(struct grpc_connection *c)
{
	struct grpc_origin *origin = c->origin;

	while (c->streams)
		grpc_stream_close(c->streams);
	sd_event_source_disable_unref(c->io);
	http2_session_close(&c->session);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
	grpc_lane_close_origin(origin);
}

void grpc_connection_flush(struct grpc_connection *c)
{
	int code = http2_session_write(&c->session);
	bool wants_write = code == -EAGAIN;

	if ((code < 0 && code != -EAGAIN) || http2_session_is_over(&c->session) ||
	    (c->server->draining && !c->streams && !wants_write)) {
		grpc_connection_close(c);
		return;
	}
	if (wants_write == c->wants_write)
		return;
	c->wants_write = wants_write;
	if (wants_write)
		grpc_connection_expect_sweep(c->server);
	if (sd_event_source_set_io_events(c->io, EPOLLIN | (wants_write ? EPOLLOUT : 0U)) < 0)
		grpc_connection_close(c);
}

/* False: the connection was at its end, and is closed. */
static bool read_socket(struct grpc_connection *c)
{
	int code = http2_session_read(&c->session);

	if (code == -EAGAIN)
		return true;
	if (code == 0) {
		c->heard_us = grpc_connection_clock_us(c->server);
		return true;
	}
	if (code == -EPROTO) /* tell the peer, as far as it listens */
		(void)http2_session_write(&c->session);
	grpc_connection_close(c);
	return false;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_connection *c = user;

	(void)source;
	(void)fd;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_socket(c))
		return 0;
	grpc_connection_flush(c);
	return 0;
}

static int watch_socket(struct grpc_connection *c, int fd)
{
	int code = sd_event_add_io(c->server->loop, &c->io, fd, EPOLLIN, on_socket, c);

	/* Clients that can change something are served before those that only read. */
	if (code >= 0 && c->lane->options.read_only)
		code = sd_event_source_set_priority(c->io, SD_EVENT_PRIORITY_NORMAL + 1);
	return code;
}

static void add_to_server(struct grpc_connection *c)
{
	struct grpc_server *s = c->server;

	c->next = s->connections;
	c->link = &s->connections;
	if (c->next)
		c->next->link = &c->next;
	s->connections = c;
}

int grpc_connection_open(struct grpc_server *s, struct grpc_lane *lane, int fd,
			 const struct grpc_peer *peer,
			 void (*set_callbacks)(nghttp2_session_callbacks *callbacks))
{
	struct grpc_connection *c = calloc(1, sizeof(*c));
	struct grpc_origin *origin = c ? grpc_lane_open_origin(lane, peer) : NULL;
	int code;

	if (!origin) {
		free(c);
		(void)close(fd); /* no data can be lost by this */
		return -ENOMEM;
	}
	*c = (struct grpc_connection){ .server = s, .lane = lane, .origin = origin };
	c->accepted_us = c->heard_us = grpc_connection_clock_us(s);
	add_to_server(c);
	code = http2_session_open(&c->session, fd, HTTP2_SESSION_SERVER, set_callbacks, c);
	if (code == 0)
		code = watch_socket(c, fd);
	if (code < 0) {
		grpc_connection_close(c);
		return code;
	}
	grpc_connection_expect_sweep(s);
	grpc_connection_flush(c);
	return 0;
}

/* By the last call's number clients know which of their calls to repeat. */
static void say_goodbye(struct grpc_connection *c)
{
	nghttp2_session *session = c->session.nghttp2;

	/* Out of memory, the client only sees that the socket closes. */
	(void)nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
				    nghttp2_session_get_last_proc_stream_id(session),
				    NGHTTP2_NO_ERROR, NULL, 0);
}

void grpc_connection_go_away(struct grpc_connection *c)
{
	say_goodbye(c);
	grpc_connection_flush(c);
}

void grpc_connection_evict(struct grpc_connection *c)
{
	say_goodbye(c);
	(void)http2_session_write(&c->session); /* a client that does not read misses it */
	grpc_connection_close(c);
}

bool grpc_connection_needs_sweep(const struct grpc_connection *c)
{
	return !c->greeted || c->wants_write || c->streams;
}

/* Updates *since. True when nothing has moved for too long. */
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

static void sweep_stream(struct grpc_stream *stream, uint64_t now_us, uint64_t patience_us)
{
	struct grpc_outbox *o = &stream->call->outbox;

	if (!stream->whole && !stream->refused && now_us - stream->begun_us >= patience_us) {
		grpc_reply_refuse(stream, -ETIMEDOUT, "the request did not arrive in time");
		return;
	}
	if (!is_out_of_patience(grpc_outbox_is_stalled(o), &stream->stalled_since_us, now_us,
				patience_us))
		return;
	/* The client does not read, so that a status would not arrive either. */
	grpc_outbox_end(o, -ETIMEDOUT, NULL);
	grpc_outbox_cancel(o);
	/* Out of memory, the next sweep tries again. */
	(void)nghttp2_submit_rst_stream(stream->session, NGHTTP2_FLAG_NONE, stream->id,
					NGHTTP2_CANCEL);
}

/* Neither a preface nor a block of headers can be answered before it is complete, and nothing else
 * can come before that. */
static bool is_stuck(const struct grpc_connection *c, uint64_t now_us, uint64_t patience_us)
{
	if (!c->greeted && now_us - c->accepted_us >= patience_us)
		return true;
	for (const struct grpc_stream *stream = c->streams; stream; stream = stream->next)
		if (!stream->has_headers && now_us - stream->begun_us >= patience_us)
			return true;
	return false;
}

void grpc_connection_sweep(struct grpc_connection *c, uint64_t now_us, uint64_t patience_us)
{
	uint64_t written = c->session.total_written - c->written_when_moving;
	bool stalled = c->wants_write && written < GRPC_MOVING_BYTES;

	if (!stalled)
		c->written_when_moving = c->session.total_written;
	/* The agent itself may be late, so data that arrived in time still counts. */
	if (!read_socket(c))
		return;
	if (is_stuck(c, now_us, patience_us) ||
	    is_out_of_patience(stalled, &c->stalled_since_us, now_us, patience_us)) {
		grpc_connection_close(c);
		return;
	}
	for (struct grpc_stream *stream = c->streams; stream; stream = stream->next)
		sweep_stream(stream, now_us, patience_us);
	grpc_connection_flush(c);
}
