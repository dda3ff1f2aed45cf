/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "transport/grpc_connection.h"
#include "transport/grpc_reply.h"
#include "transport/grpc_server_state.h"

/* How long a shutdown waits for clients that do not read their replies. */
#define SHUT_DOWN_US (UINT64_C(5) * 1000000)

void grpc_server_wake(struct grpc_call *call)
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

void grpc_server_forget(struct grpc_call *call)
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

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_server *s = user;
	uint64_t count;

	(void)source;
	(void)events;
	(void)!read(fd, &count, sizeof(count)); /* only to make it unreadable again */
	for (;;) {
		struct grpc_connection *c;
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
		grpc_reply_advance(call);
		grpc_connection_drop_call(call);
		if (c->closed)
			grpc_connection_drop(c);
		else
			grpc_connection_flush(c);
	}
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *user)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)events;
	if (accepted >= 0)
		grpc_connection_accept(user, accepted);
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

	if (s->listener_count == GRPC_SERVER_LISTENERS_MAX) {
		(void)close(listener); /* nothing was written to it */
		return error_set(e, -EMFILE, "more than %d sockets to listen on",
				 GRPC_SERVER_LISTENERS_MAX);
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
	struct grpc_connection *next;

	(void)source;
	(void)now_us;
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		grpc_connection_close(c);
	}
	return 0;
}

void grpc_server_shut_down(struct grpc_server *s, void (*done)(void *user))
{
	struct grpc_connection *next;

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
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		if (c->closed)
			continue;
		/* Calls under way go on. Without memory the socket is just closed later. */
		(void)nghttp2_submit_goaway(
			c->session.nghttp2, NGHTTP2_FLAG_NONE,
			nghttp2_session_get_last_proc_stream_id(c->session.nghttp2),
			NGHTTP2_NO_ERROR, NULL, 0);
		grpc_connection_flush(c);
	}
}

void grpc_server_free(struct grpc_server *s)
{
	struct grpc_connection *next;

	if (!s)
		return;
	s->shut_down_done = NULL;
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		grpc_connection_close(c);
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
