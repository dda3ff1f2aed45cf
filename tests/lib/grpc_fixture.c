/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/grpc_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

const char grpc_fixture_odd_text[] =
	" 100% \"of\" caf\xc3\xa9\n\x01 is odd "; /* blanks at both ends, too */

static void echo(struct grpc_call *call, void *user)
{
	size_t length;
	const uint8_t *request = grpc_call_request(call, &length);
	int code = grpc_call_send(call, request, length);

	(void)user;
	grpc_call_finish(call, code, NULL);
}

static void many(struct grpc_call *call, void *user)
{
	char message[200] = { 0 };
	int code = 0;

	(void)user;
	for (int i = 0; i < GRPC_FIXTURE_MESSAGES && code == 0; i++) {
		(void)snprintf(message, sizeof(message), "%d", i);
		code = grpc_call_send(call, message, sizeof(message));
	}
	grpc_call_finish(call, code, NULL);
}

static void refuse(struct grpc_call *call, void *user)
{
	(void)user;
	grpc_call_finish(call, -EBUSY, grpc_fixture_odd_text);
}

/* Waits until it is cancelled or told to go. */
static void wait_for_go(struct grpc_call *call, void *user)
{
	struct grpc_fixture *f = user;

	atomic_fetch_add(&f->running, 1);
	while (!grpc_call_cancelled(call) && !atomic_load(&f->go))
		usleep(1000);
	atomic_fetch_sub(&f->running, 1);
	grpc_call_finish(call, grpc_call_cancelled(call) ? -ECANCELED : 0, NULL);
}

/* Ignores that it is cancelled, and ends when it is told to go. */
static void hold(struct grpc_call *call, void *user)
{
	struct grpc_fixture *f = user;

	atomic_fetch_add(&f->running, 1);
	while (!atomic_load(&f->go))
		usleep(1000);
	atomic_fetch_sub(&f->running, 1);
	grpc_call_finish(call, 0, NULL);
}

/* Ends a little after it was cancelled. */
static void be_late(struct grpc_call *call, void *user)
{
	struct grpc_fixture *f = user;

	atomic_fetch_add(&f->running, 1);
	while (!grpc_call_cancelled(call) && !atomic_load(&f->go))
		usleep(1000);
	for (int i = 0; i < 5; i++) {
		usleep(1000);
		(void)grpc_call_send(call, "late", 4);
	}
	atomic_fetch_sub(&f->running, 1);
	grpc_call_finish(call, -EIO, "too late");
}

/* Sends until the transport refuses to take more. */
static void pour(struct grpc_call *call, void *user)
{
	static const char message[100000];
	struct grpc_fixture *f = user;

	atomic_fetch_add(&f->running, 1);
	while (grpc_call_send(call, message, sizeof(message)) == 0)
		;
	atomic_fetch_sub(&f->running, 1);
	atomic_fetch_add(&f->poured, 1);
	grpc_call_finish(call, -ECANCELED, NULL);
}

static const struct grpc_method methods[] = {
	{ "/test.Test/Echo", echo, GRPC_METHOD_CHANGES, NULL },
	{ "/test.Test/Many", many, GRPC_METHOD_CHANGES, NULL },
	{ "/test.Test/Fail", refuse, GRPC_METHOD_CHANGES, NULL },
	{ "/test.Test/Wait", wait_for_go, GRPC_METHOD_CHANGES, NULL },
	{ "/test.Test/Pour", pour, GRPC_METHOD_CHANGES, NULL },
	{ "/test.Test/Hold", hold, GRPC_METHOD_CHANGES, NULL },
	{ "/test.Test/Late", be_late, GRPC_METHOD_CHANGES, NULL },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};

static void say_whose(struct grpc_call *call, void *user)
{
	grpc_call_finish(call, grpc_call_send(call, user, strlen(user)), NULL);
}

static const struct grpc_method other_methods[] = {
	{ "/test.Other/Echo", say_whose, GRPC_METHOD_CHANGES, NULL },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};

static int submit(void (*work)(void *arg), void *arg, void *user)
{
	return worker_pool_submit(((struct grpc_fixture *)user)->workers, work, arg);
}

static void connection_closed(uint64_t connection, void *user)
{
	struct grpc_fixture *f = user;

	(void)connection;
	atomic_fetch_add(&f->calls_in_closed, atomic_load(&f->running));
	atomic_fetch_add(&f->closed_connections, 1);
}

static void shut_down_done(void *user)
{
	struct grpc_fixture *f = user;

	atomic_fetch_add(&f->done, 1);
}

/* A command to the loop's thread. */
enum { SHUT_DOWN = 1, END = 2, PAUSE = 3 };

static void pause_loop(struct grpc_fixture *f)
{
	atomic_store(&f->paused, true);
	pthread_mutex_lock(&f->gate);
	pthread_mutex_unlock(&f->gate);
	atomic_store(&f->paused, false);
}

void grpc_fixture_pause(struct grpc_fixture *f)
{
	while (atomic_load(&f->paused)) /* by the previous pause, which has just ended */
		sched_yield();
	pthread_mutex_lock(&f->gate);
	grpc_fixture_tell(f, PAUSE);
	while (!atomic_load(&f->paused))
		sched_yield();
}

void grpc_fixture_resume(struct grpc_fixture *f)
{
	pthread_mutex_unlock(&f->gate);
}

static int on_stop(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct grpc_fixture *f = user;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	if (count == SHUT_DOWN)
		grpc_server_shut_down(f->server, shut_down_done);
	else if (count == PAUSE)
		pause_loop(f);
	else
		(void)sd_event_exit(sd_event_source_get_event(source), 0);
	return 0;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

/* As the agent does it. */
static bool lead(void *arg)
{
	struct grpc_fixture *f = arg;
	struct pollfd events = { .fd = sd_event_get_fd(f->loop), .events = POLLIN };

	for (;;) {
		enum grpc_server_turn left = grpc_server_turn(f->server);

		if (left == GRPC_SERVER_HAS_ENDED || left == GRPC_SERVER_HAS_FAILED)
			return false;
		if (worker_pool_has_jobs(f->workers))
			return true;
		if (left == GRPC_SERVER_IDLE)
			(void)poll(&events, 1, -1);
	}
}

static void *run_loop(void *arg)
{
	struct grpc_fixture *f = arg;
	const struct grpc_service services[] = {
		{ methods, f },
		{ other_methods, (char *)"other" },
		{ NULL, NULL },
	};
	struct grpc_server_options options = { .services = services,
					       .user = f,
					       .submit = submit,
					       .connection_closed = connection_closed,
					       .max_message_bytes = GRPC_FIXTURE_BIG_BYTES,
					       .patience_us = f->patience_us,
					       .in_turns = true,
					       .unimplemented_hint = "this is a test" };
	struct error e = { 0 };
	sd_event *loop = NULL;

	assert_int_equal(sd_event_new(&loop), 0);
	assert_int_equal(grpc_server_new(loop, &options, &f->server, &e), 0);
	assert_int_equal(grpc_server_listen(f->server, listen_at(f->path), &f->listener, &e), 0);
	assert_true(sd_event_add_io(loop, NULL, f->stop_fd, EPOLLIN, on_stop, f) >= 0);
	atomic_store(&f->running, 0);
	f->loop = loop;
	assert_int_equal(worker_pool_lead(f->workers, lead, f), 0);
	grpc_server_close(f->server);
	worker_pool_free(f->workers);
	grpc_server_free(f->server);
	sd_event_unref(loop);
	return NULL;
}

/* The limits are so high that no test reaches them by chance. */
struct grpc_fixture *grpc_fixture_new(void)
{
	struct grpc_fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	pthread_mutex_init(&f->gate, NULL);
	f->patience_us = UINT64_C(30) * 1000000;
	f->listener =
		(struct grpc_listener_options){ .max_connections = 64,
						.max_connections_per_user = 64,
						.max_calls = 1000,
						.max_running = 1000,
						.max_blocked = GRPC_FIXTURE_CLIENTS,
						.max_held_bytes = 8 * GRPC_FIXTURE_BIG_BYTES };
	return f;
}

int grpc_fixture_start(struct grpc_fixture *f)
{
	struct error e = { 0 };

	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/varve-test.XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/sock", f->folder);
	f->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (worker_pool_new(GRPC_FIXTURE_CLIENTS, 1000, &f->workers, &e) < 0)
		return -1;
	return pthread_create(&f->loop_thread, NULL, run_loop, f);
}

void grpc_fixture_tell(struct grpc_fixture *f, uint64_t count)
{
	assert_int_equal(write(f->stop_fd, &count, sizeof(count)), sizeof(count));
}

int grpc_fixture_tear_down(void **state)
{
	struct grpc_fixture *f = *state;

	atomic_store(&f->go, true);
	grpc_fixture_tell(f, 2);
	pthread_join(f->loop_thread, NULL);
	(void)close(f->stop_fd);
	(void)unlink(f->path);
	(void)rmdir(f->folder);
	pthread_mutex_destroy(&f->gate);
	free(f);
	return 0;
}

struct grpc_client *grpc_fixture_connect(struct grpc_fixture *f)
{
	struct grpc_client *c = NULL;
	struct error e = { 0 };

	for (int i = 0; i < 500 && grpc_client_connect(f->path, &c, &e) < 0; i++)
		usleep(10000); /* the loop's thread may not listen yet */
	assert_non_null(c);
	return c;
}

void grpc_fixture_wait_until(const atomic_int *value, int wanted)
{
	for (int i = 0; i < 30000 && atomic_load(value) != wanted; i++)
		usleep(1000);
	assert_int_equal(atomic_load(value), wanted);
}

void *grpc_fixture_wait_call(void *arg)
{
	struct grpc_fixture_wait *w = arg;

	w->code = grpc_client_call(w->client, "/test.Test/Wait", "", 0, NULL, NULL, NULL);
	return NULL;
}
