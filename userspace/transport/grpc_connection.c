/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transport/grpc_request.h"
#include "transport/grpc_server_state.h"

void grpc_connection_drop_call(struct grpc_call *call)
{
	if (call->stream_open || (call->dispatched && !grpc_call_worker_is_done(call)))
		return;
	grpc_server_forget(call);
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

void grpc_connection_close_stream(struct grpc_call *call)
{
	call->stream_open = false;
	grpc_call_cancel(call);
	grpc_connection_drop_call(call);
}

void grpc_connection_close(struct grpc_connection *c)
{
	struct grpc_call *next;

	if (c->closed)
		return;
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

static void identify_peer(struct grpc_server *s, struct grpc_connection *c, int fd)
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

void grpc_connection_accept(struct grpc_server *s, int fd)
{
	struct grpc_connection *c = calloc(1, sizeof(*c));

	if (!c || s->draining || s->connection_count >= s->options.max_connections) {
		free(c);
		(void)close(fd); /* the client sees it at once, and may come again */
		return;
	}
	c->server = s;
	identify_peer(s, c, fd);
	if (http2_session_open(&c->session, fd, HTTP2_SESSION_SERVER, grpc_request_set_callbacks,
			       c) < 0) {
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
	grpc_connection_flush(c);
}
