/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "transport/grpc_connection.h"
#include "transport/grpc_reply.h"
#include "transport/grpc_request.h"
#include "transport/grpc_server_state.h"

/* How long a shutdown waits for calls under way. */
#define SHUT_DOWN_US (UINT64_C(60) * 1000000)
#define ACCEPTS_AT_ONCE 32
/* So that calls that have arrived do not wait for long before they run. */
#define EVENTS_IN_A_TURN 32
/* Of a lane's connections, for root alone: one in so many. */
#define ROOT_PART 16

/* A worker has queued output of a call, or has finished it. */
static void read_mail(struct grpc_call *call, bool last)
{
	struct grpc_stream *stream = call->stream;

	if (last)
		grpc_lane_take_back(call);
	if (stream) {
		grpc_reply_advance(stream);
		grpc_connection_flush(stream->connection);
	} else if (last) {
		grpc_lane_drop_call(call);
	}
}

static void read_all_mail(struct grpc_server *s)
{
	struct grpc_mail *mail;
	bool last;

	while ((mail = grpc_mailbox_take(&s->mailbox, &last)))
		read_mail((struct grpc_call *)mail, last);
}

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_server *s = user;

	(void)source;
	(void)fd;
	(void)events;
	grpc_mailbox_acknowledge(&s->mailbox);
	read_all_mail(s);
	return 0;
}

/* With the turn. */
static enum grpc_server_turn run_loop(struct grpc_server *s)
{
	read_all_mail(s);
	for (int i = 0; i < EVENTS_IN_A_TURN; i++) {
		int code = 0;

		if (sd_event_get_state(s->loop) == SD_EVENT_FINISHED)
			return GRPC_SERVER_HAS_ENDED;
		code = sd_event_run(s->loop, 0);
		if (code < 0) {
			log_error("event loop: %s", strerror(-code));
			return GRPC_SERVER_HAS_FAILED;
		}
		if (code == 0)
			return GRPC_SERVER_IDLE;
	}
	return GRPC_SERVER_HAS_MORE;
}

enum grpc_server_turn grpc_server_turn(struct grpc_server *s)
{
	enum grpc_server_turn left;

	pthread_mutex_lock(&s->turn);
	left = run_loop(s);
	pthread_mutex_unlock(&s->turn);
	return left;
}

/* A worker delivers what it has sent. Its turn ends with the loop's timers set, or the thread that
 * waits for events goes on. */
static void deliver(void *user)
{
	struct grpc_server *s = user;

	if (grpc_server_turn(s) != GRPC_SERVER_IDLE)
		grpc_mailbox_wake(&s->mailbox);
}

static uint64_t patience_of(const struct grpc_server *s, struct grpc_lane *lane)
{
	bool short_of_workers = atomic_load(&lane->budget.blocked) > lane->options.max_blocked;

	return short_of_workers || s->draining ? 0 : s->options.patience_us;
}

void grpc_server_retry_calls(struct grpc_server *s)
{
	for (size_t i = 0; i < s->lane_count; i++)
		grpc_lane_start_calls(&s->lanes[i]);
}

static int on_sweep(sd_event_source *source, uint64_t time_us, void *user)
{
	struct grpc_server *s = user;
	struct grpc_connection *next;
	uint64_t now_us = grpc_connection_clock_us(s);

	(void)source;
	(void)time_us;
	s->sweeping = false;
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		grpc_connection_sweep(c, now_us, patience_of(s, c->lane));
	}
	for (struct grpc_connection *c = s->connections; c && !s->sweeping; c = c->next)
		if (grpc_connection_needs_sweep(c))
			grpc_connection_expect_sweep(s);
	if (!s->draining)
		grpc_server_retry_calls(s);
	for (size_t i = 0; i < s->lane_count && !s->draining; i++) {
		(void)sd_event_source_set_enabled(s->lanes[i].source, SD_EVENT_ON);
	}
	return 0;
}

static void identify_peer(struct grpc_server *s, const struct grpc_lane *lane, int fd,
			  struct grpc_peer *ret_peer)
{
	struct ucred credentials = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t size = sizeof(credentials);

	/* A peer that the kernel does not name has no rights. */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	*ret_peer = (struct grpc_peer){ .connection = ++s->last_connection,
					.pid = credentials.pid,
					.uid = credentials.uid,
					.gid = credentials.gid,
					.read_only = lane->options.read_only };
}

/* Whether the client waits for nothing. An incomplete request does not count: the client can send
 * it again. */
static bool is_idle(const struct grpc_connection *c)
{
	for (const struct grpc_stream *stream = c->streams; stream; stream = stream->next)
		if (stream->whole)
			return false;
	return true;
}

/* Whether `a` is to be closed rather than `b`: a connection of the user with more of them, but not
 * of root, and of one user's the one that has been silent for longer. */
static bool is_worse(const struct grpc_connection *a, const struct grpc_connection *b)
{
	const struct grpc_user *user = a->origin->user, *other = b->origin->user;

	if (is_idle(a) != is_idle(b))
		return is_idle(a);
	if (user->share.limited != other->share.limited)
		return user->share.limited;
	if (user->connections != other->connections)
		return user->connections > other->connections;
	return a->heard_us < b->heard_us;
}

/* Makes room for a user's next connection, on a socket where connections hold nothing that their
 * clients could miss. A busy one is closed only when its user has more of them. */
static bool close_a_connection(struct grpc_server *s, struct grpc_lane *lane, uid_t uid)
{
	struct grpc_connection *worst = NULL;

	for (struct grpc_connection *c = s->connections; c; c = c->next)
		if (c->lane == lane && (!worst || is_worse(c, worst)))
			worst = c;
	if (!worst)
		return false;
	if (!is_idle(worst) &&
	    (!worst->origin->user->share.limited ||
	     worst->origin->user->connections <= grpc_lane_user_connections(lane, uid) + 1))
		return false;
	grpc_connection_evict(worst);
	return true;
}

static bool has_room(struct grpc_server *s, struct grpc_lane *lane, const struct grpc_peer *peer)
{
	const struct grpc_listener_options *o = &lane->options;
	size_t reserved = peer->uid == 0 ? 0 : o->max_connections / ROOT_PART;

	if (peer->uid != 0 &&
	    grpc_lane_user_connections(lane, peer->uid) >= o->max_connections_per_user)
		return false;
	if (lane->connections + reserved < o->max_connections)
		return true;
	return o->read_only && close_a_connection(s, lane, peer->uid);
}

void grpc_server_accept(struct grpc_server *s, struct grpc_lane *lane, int fd)
{
	struct grpc_peer peer;

	identify_peer(s, lane, fd, &peer);
	if (s->draining || !has_room(s, lane, &peer)) {
		(void)close(fd); /* the client notices at once, and can connect again */
		return;
	}
	/* Out of memory, the connection is closed, too. */
	(void)grpc_connection_open(s, lane, fd, &peer, grpc_request_set_callbacks);
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_lane *lane = user;
	struct grpc_server *s = lane->server.user;

	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (accepted >= 0) {
			grpc_server_accept(s, lane, accepted);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			/* It would be asked again and again; clients wait until the next sweep. */
			(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
			grpc_connection_expect_sweep(s);
		}
		break; /* an error means that the client has gone */
	}
	return 0;
}

static bool has_origins(const struct grpc_server *s)
{
	for (size_t i = 0; i < s->lane_count; i++)
		if (s->lanes[i].origins > 0)
			return true;
	return false;
}

/* Has shut_down_done called after the last call of the last connection. */
static void end_if_drained(struct grpc_server *s)
{
	/* Fails only after the loop has ended. */
	if (s->draining && !has_origins(s))
		(void)sd_event_source_set_enabled(s->drained, SD_EVENT_ONESHOT);
}

static int on_drained(sd_event_source *source, void *user)
{
	struct grpc_server *s = user;

	(void)source;
	s->shut_down_done(s->options.user);
	return 0;
}

static int submit(void (*work)(void *arg), void *arg, void *user)
{
	const struct grpc_server_options *o = &((struct grpc_server *)user)->options;

	return o->submit(work, arg, o->user);
}

static bool may_run(const struct grpc_method *method, void *user)
{
	const struct grpc_server_options *o = &((struct grpc_server *)user)->options;

	return !o->may_run || o->may_run(method, o->user);
}

static void origin_gone(uint64_t connection, void *user)
{
	struct grpc_server *s = user;

	if (s->options.connection_closed)
		s->options.connection_closed(connection, s->options.user);
	end_if_drained(s);
}

static void must_retry(void *user)
{
	grpc_connection_expect_sweep(user);
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
	int code;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	code = grpc_mailbox_open(&s->mailbox);
	if (code < 0) {
		free(take_ptr(s));
		return error_set(e, code, "eventfd: %s", strerror(-code));
	}
	pthread_mutex_init(&s->turn, NULL);
	s->loop = sd_event_ref(loop);
	s->options = *options;
	if (options->in_turns) {
		s->mailbox.deliver = deliver;
		s->mailbox.user = s;
	}
	s->services = copy_services(options->services);
	s->options.services = NULL;
	if (!s->services || grpc_meters_make(s->services, &s->meters) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (sd_event_add_io(loop, &s->wake, s->mailbox.wake_fd, EPOLLIN, on_wake, s) < 0 ||
	    sd_event_add_time(loop, &s->sweep, CLOCK_MONOTONIC, 0, 0, on_sweep, s) < 0 ||
	    sd_event_source_set_enabled(s->sweep, SD_EVENT_OFF) < 0 ||
	    sd_event_add_defer(loop, &s->drained, on_drained, s) < 0 ||
	    sd_event_source_set_enabled(s->drained, SD_EVENT_OFF) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_server = take_ptr(s);
	return 0;
}

const struct grpc_meters *grpc_server_meters(const struct grpc_server *s)
{
	return &s->meters;
}

int grpc_server_listen(struct grpc_server *s, int listener,
		       const struct grpc_listener_options *options, struct error *e)
{
	const struct grpc_lane_server server = { .submit = submit,
						 .may_run = may_run,
						 .origin_gone = origin_gone,
						 .must_retry = must_retry,
						 .user = s };
	struct grpc_lane *lane = &s->lanes[s->lane_count];
	int code;

	if (s->lane_count == GRPC_SERVER_LISTENERS_MAX) {
		(void)close(listener); /* no data can be lost by this */
		return error_set(e, -EMFILE, "more than %d sockets to listen on",
				 GRPC_SERVER_LISTENERS_MAX);
	}
	grpc_lane_init(lane, options, &server);
	code = sd_event_add_io(s->loop, &lane->source, listener, EPOLLIN, on_listener, lane);
	if (code < 0) {
		(void)close(listener);
		return error_set(e, code, "listen: %s", strerror(-code));
	}
	(void)sd_event_source_set_io_fd_own(lane->source, 1);
	s->lane_count++;
	return 0;
}

static void close_connections(struct grpc_server *s)
{
	while (s->connections)
		grpc_connection_close(s->connections);
}

static int on_shut_down_timer(sd_event_source *source, uint64_t now_us, void *user)
{
	(void)source;
	(void)now_us;
	close_connections(user);
	return 0;
}

static void close_listeners(struct grpc_server *s)
{
	for (size_t i = 0; i < s->lane_count; i++)
		s->lanes[i].source = sd_event_source_disable_unref(s->lanes[i].source);
}

void grpc_server_shut_down(struct grpc_server *s, void (*done)(void *user))
{
	struct grpc_connection *next;

	s->draining = true;
	s->shut_down_done = done;
	close_listeners(s);
	/* Without the timer a call that does not end could only be ended by a signal. */
	(void)sd_event_add_time_relative(s->loop, &s->shut_down_timer, CLOCK_MONOTONIC,
					 SHUT_DOWN_US, 0, on_shut_down_timer, s);
	for (struct grpc_connection *c = s->connections; c; c = next) {
		next = c->next;
		/* Requests that have arrived are still taken. A closed socket is noticed when
		 * writing to it. */
		(void)http2_session_read(&c->session);
		grpc_connection_go_away(c);
	}
	end_if_drained(s);
}

void grpc_server_close(struct grpc_server *s)
{
	pthread_mutex_lock(&s->turn); /* workers may still deliver what they have sent */
	close_listeners(s);
	close_connections(s);
	pthread_mutex_unlock(&s->turn);
}

void grpc_server_free(struct grpc_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->lane_count; i++)
		/* From here on, no call starts. */
		s->lanes[i].options.max_running = s->lanes[i].options.max_running_brief = 0;
	close_connections(s);
	read_all_mail(s);
	assert(!has_origins(s));
	close_listeners(s);
	sd_event_source_disable_unref(s->sweep);
	sd_event_source_disable_unref(s->shut_down_timer);
	sd_event_source_disable_unref(s->drained);
	sd_event_source_disable_unref(s->wake);
	grpc_mailbox_close(&s->mailbox);
	pthread_mutex_destroy(&s->turn);
	sd_event_unref(s->loop);
	grpc_meters_free(&s->meters);
	free(s->services);
	free(s);
}
