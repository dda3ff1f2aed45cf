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

/* How long a shutdown waits for calls under way. */
#define SHUT_DOWN_US (UINT64_C(60) * 1000000)
#define SWEEPS_PER_PATIENCE 8
#define ACCEPTS_AT_ONCE 32

bool grpc_server_enqueue(struct grpc_call *call)
{
	struct grpc_server *s = call->connection->server;
	bool first;

	pthread_mutex_lock(&s->ready_lock);
	first = !s->ready; /* else the loop knows already */
	if (!call->ready) {
		call->ready = true;
		call->next_ready = s->ready;
		s->ready = call;
	}
	pthread_mutex_unlock(&s->ready_lock);
	return first;
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

static void run_call(void *arg)
{
	struct grpc_call *call = arg;

	if (grpc_call_cancelled(call))
		grpc_call_finish(call, -ECANCELED, NULL);
	else
		call->method->run(call, call->user);
}

static int start_call(struct grpc_lane *lane, struct grpc_call *call)
{
	const struct grpc_server_options *o = &lane->server->options;
	int code;

	call->dispatched = true;
	code = o->submit(run_call, call, o->user);
	if (code < 0)
		call->dispatched = false;
	else
		lane->running++;
	return code;
}

int grpc_lane_submit(struct grpc_lane *lane, struct grpc_call *call)
{
	if (lane->running < lane->options.max_running)
		return start_call(lane, call);
	call->waiting = true;
	call->next_waiting = NULL;
	*lane->last_waiting = call;
	lane->last_waiting = &call->next_waiting;
	return 0;
}

static void stop_waiting(struct grpc_lane *lane, struct grpc_call *call)
{
	struct grpc_call **at = &lane->waiting;

	while (*at != call)
		at = &(*at)->next_waiting;
	*at = call->next_waiting;
	if (lane->last_waiting == &call->next_waiting)
		lane->last_waiting = at;
	call->waiting = false;
}

static void start_waiting_calls(struct grpc_lane *lane)
{
	while (lane->waiting && lane->running < lane->options.max_running) {
		struct grpc_call *call = lane->waiting;

		if (start_call(lane, call) < 0) {
			grpc_server_expect_sweep(lane->server); /* which tries again */
			return;
		}
		stop_waiting(lane, call);
	}
}

void grpc_lane_leave(struct grpc_lane *lane, struct grpc_call *call)
{
	lane->calls--;
	if (call->waiting)
		stop_waiting(lane, call);
	if (!call->dispatched)
		return;
	lane->running--;
	start_waiting_calls(lane);
}

static uint64_t patience_of(const struct grpc_lane *lane)
{
	bool short_of_workers = atomic_load(&lane->budget.blocked) > lane->options.max_blocked;

	return short_of_workers || lane->server->draining ? 0 : lane->server->options.patience_us;
}

static int on_sweep(sd_event_source *source, uint64_t time_us, void *user)
{
	struct grpc_server *s = user;
	struct grpc_connection *next;
	uint64_t now_us = time_us;

	(void)sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now_us);
	s->sweeping = false;
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		grpc_connection_sweep(c, now_us, patience_of(c->lane));
	}
	for (struct grpc_connection *c = s->connections; c && !s->sweeping; c = c->next)
		if (grpc_connection_needs_sweep(c))
			grpc_server_expect_sweep(s);
	for (size_t i = 0; i < s->lane_count && !s->draining; i++) {
		start_waiting_calls(&s->lanes[i]);
		(void)sd_event_source_set_enabled(s->lanes[i].source, SD_EVENT_ON);
	}
	return 0;
}

void grpc_server_expect_sweep(struct grpc_server *s)
{
	uint64_t us = s->options.patience_us / SWEEPS_PER_PATIENCE;

	if (!s->sweeping && sd_event_source_set_time_relative(s->sweep, us) >= 0 &&
	    sd_event_source_set_enabled(s->sweep, SD_EVENT_ONESHOT) >= 0)
		s->sweeping = true;
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_lane *lane = user;

	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (accepted >= 0) {
			grpc_connection_accept(lane, accepted);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			/* It would be asked again and again; clients wait until the next sweep. */
			(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
			grpc_server_expect_sweep(lane->server);
		}
		break; /* nobody is left, or a client is gone already */
	}
	return 0;
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
	s->wake_fd = -EBADF;
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
	if (sd_event_add_io(loop, &s->wake, s->wake_fd, EPOLLIN, on_wake, s) < 0 ||
	    sd_event_add_time(loop, &s->sweep, CLOCK_MONOTONIC, 0, 0, on_sweep, s) < 0 ||
	    sd_event_source_set_enabled(s->sweep, SD_EVENT_OFF) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_server = take_ptr(s);
	return 0;
}

int grpc_server_listen(struct grpc_server *s, int listener,
		       const struct grpc_listener_options *options, struct error *e)
{
	struct grpc_lane *lane = &s->lanes[s->lane_count];
	int code;

	if (s->lane_count == GRPC_SERVER_LISTENERS_MAX) {
		(void)close(listener); /* nothing was written to it */
		return error_set(e, -EMFILE, "more than %d sockets to listen on",
				 GRPC_SERVER_LISTENERS_MAX);
	}
	*lane = (struct grpc_lane){ .server = s,
				    .options = *options,
				    .last_waiting = &lane->waiting,
				    .budget.max_held_bytes = options->max_held_bytes };
	code = sd_event_add_io(s->loop, &lane->source, listener, EPOLLIN, on_listener, lane);
	if (code < 0) {
		(void)close(listener);
		return error_set(e, code, "listen: %s", strerror(-code));
	}
	(void)sd_event_source_set_io_fd_own(lane->source, 1);
	s->lane_count++;
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
	for (size_t i = 0; i < s->lane_count; i++)
		s->lanes[i].source = sd_event_source_disable_unref(s->lanes[i].source);
	if (!s->connections) {
		done(s->options.user);
		return;
	}
	s->shut_down_done = done;
	/* Without the timer a call that does not end could only be ended by a signal. */
	(void)sd_event_add_time_relative(s->loop, &s->shut_down_timer, CLOCK_MONOTONIC,
					 SHUT_DOWN_US, 0, on_shut_down_timer, s);
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		if (c->closed)
			continue;
		/* What has arrived is still taken. If the socket is at its end flush finds out. */
		(void)http2_session_read(&c->session);
		/* Calls under way go on; by the last one's number clients know which to repeat.
		 * Without memory the socket is just closed later. */
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
	for (size_t i = 0; i < s->lane_count; i++)
		s->lanes[i].options.max_running = 0; /* nothing is started any more */
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		grpc_connection_close(c);
	}
	for (size_t i = 0; i < s->lane_count; i++)
		sd_event_source_disable_unref(s->lanes[i].source);
	sd_event_source_disable_unref(s->sweep);
	sd_event_source_disable_unref(s->shut_down_timer);
	sd_event_source_disable_unref(s->wake);
	cleanup_close_fd(&s->wake_fd);
	sd_event_unref(s->loop);
	pthread_mutex_destroy(&s->ready_lock);
	free(s->services);
	free(s);
}
