/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that outlive their streams and connections: deadlines, closing, cancelling, GOAWAY and the
 * server's shutdown, in every order. Under sanitizers these tests find code that uses a connection
 * that was freed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/grpc_fixture.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define EMPTY_SETTINGS "\0\0\0\4\0\0\0\0\0"
#define STORM_THREADS 6
#define STORM_ROUNDS 120
#define STREAMS 4

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, GOAWAY = 7 };
enum { END_STREAM = 1, END_HEADERS = 4 };

struct bytes {
	uint8_t data[2048];
	size_t length;
};

static void append(struct bytes *b, const void *bytes, size_t length)
{
	assert_true(b->length + length <= sizeof(b->data));
	memcpy(b->data + b->length, bytes, length);
	b->length += length;
}

static void append_frame(struct bytes *b, uint8_t type, uint8_t flags, uint32_t stream,
			 const struct bytes *payload)
{
	const uint8_t head[9] = {
		0, (uint8_t)(payload->length >> 8), (uint8_t)payload->length, type, flags, 0,
		0, (uint8_t)(stream >> 8),	    (uint8_t)stream
	};

	append(b, head, sizeof(head));
	append(b, payload->data, payload->length);
}

/* Appends a literal header that enters no table. */
static void append_header(struct bytes *b, const char *name, const char *value)
{
	const uint8_t lengths[] = { (uint8_t)strlen(name), (uint8_t)strlen(value) };

	append(b, "\0", 1);
	append(b, &lengths[0], 1);
	append(b, name, lengths[0]);
	append(b, &lengths[1], 1);
	append(b, value, lengths[1]);
}

/* Appends a call of /test.Test/<method>, without a deadline when `timeout` is NULL. */
static void append_call(struct bytes *b, uint32_t stream, const char *method, const char *timeout,
			bool whole)
{
	struct bytes headers = { .length = 0 }, message = { .length = 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), "/test.Test/%s", method);
	append_header(&headers, ":method", "POST");
	append_header(&headers, ":scheme", "http");
	append_header(&headers, ":authority", "t");
	append_header(&headers, ":path", path);
	append_header(&headers, "content-type", "application/grpc");
	if (timeout)
		append_header(&headers, "grpc-timeout", timeout);
	append_frame(b, HEADERS, END_HEADERS, stream, &headers);
	append(&message, "\0\0\0\0\0", whole ? 5 : 2);
	append_frame(b, DATA, whole ? END_STREAM : 0, stream, &message);
}

static void append_reset(struct bytes *b, uint32_t stream)
{
	struct bytes cancel = { .length = 4, .data = { 0, 0, 0, 8 } };

	append_frame(b, RST_STREAM, 0, stream, &cancel);
}

static void append_goaway(struct bytes *b)
{
	struct bytes nothing = { .length = 8 };

	append_frame(b, GOAWAY, 0, 0, &nothing);
}

static void greet(struct bytes *b)
{
	*b = (struct bytes){ .length = 0 };
	append(b, PREFACE, strlen(PREFACE));
	append(b, EMPTY_SETTINGS, 9);
}

/* Returns -1 when the server does not listen any more. */
static int try_connect(struct grpc_fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return take_fd(&fd);
}

static void send_bytes(int fd, const struct bytes *b)
{
	(void)!send(fd, b->data, b->length, MSG_NOSIGNAL); /* the server may have closed it */
}

/* Returns whether these bytes from the server contain the end of a reply. */
static bool has_reply_end(const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at + 9 <= length;) {
		if (bytes[at + 3] == HEADERS && (bytes[at + 4] & END_STREAM))
			return true;
		at += 9 + ((size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2]);
	}
	return false;
}

/* Waits until the call that was sent to fd runs. Returns false when its answer came before that. */
static bool is_seen_to_run(struct grpc_fixture *f, int fd, int running_before)
{
	uint8_t reply[4096];
	size_t total = 0;

	while (atomic_load(&f->running) == running_before) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n = 0;

		if (poll(&p, 1, 1) > 0)
			n = recv(fd, reply + total, sizeof(reply) - total, MSG_DONTWAIT);
		total += n > 0 ? (size_t)n : 0;
		if (has_reply_end(reply, total))
			return false;
	}
	return true;
}

/* Starts a call on a worker, on a connection of its own, which it returns. On a slow machine the
 * call's deadline (0: none) may pass before it runs: then *ms is doubled, and the call started
 * again. */
static int start_call(struct grpc_fixture *f, const char *method, unsigned *ms)
{
	for (;; *ms *= 2) {
		int fd = try_connect(f), before = atomic_load(&f->running);
		char timeout[16];
		struct bytes b;

		assert_true(fd >= 0 && *ms < 100000);
		(void)snprintf(timeout, sizeof(timeout), "%um", *ms);
		greet(&b);
		append_call(&b, 1, method, *ms ? timeout : NULL, true);
		send_bytes(fd, &b);
		if (is_seen_to_run(f, fd, before))
			return fd;
		(void)close(fd);
	}
}

/* Starts `count` calls that go on when they are cancelled, then closes their connections. */
static void hold_and_close(struct grpc_fixture *f, int count, unsigned *ms)
{
	int fds[GRPC_FIXTURE_CLIENTS];

	for (int i = 0; i < count; i++)
		fds[i] = start_call(f, "Hold", ms);
	for (int i = 0; i < count; i++)
		(void)close(fds[i]);
}

/* Returns when the server has answered a call whose deadline has passed: the timers of all earlier
 * deadlines have fired by then. */
static void outlast_deadline(struct grpc_fixture *f, unsigned ms)
{
	cleanup(close_fd) int fd = try_connect(f);
	uint8_t reply[4096];
	char timeout[16];
	struct bytes b;
	size_t total = 0;

	(void)snprintf(timeout, sizeof(timeout), "%um", ms);
	greet(&b);
	append_call(&b, 1, "Wait", timeout, true);
	send_bytes(fd, &b);
	while (!has_reply_end(reply, total)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_true(poll(&p, 1, 60000) > 0);
		n = recv(fd, reply + total, sizeof(reply) - total, 0);
		assert_true(n > 0);
		total += (size_t)n;
	}
}

static int set_up(void **state)
{
	struct grpc_fixture *f = grpc_fixture_new();
	int code;

	*state = f;
	code = grpc_fixture_start(f);
	grpc_client_free(grpc_fixture_connect(f)); /* it listens now */
	return code;
}

/* Sweeps run all the time, and most calls wait for a worker. */
static int set_up_narrow(void **state)
{
	struct grpc_fixture *f = grpc_fixture_new();
	int code;

	*state = f;
	f->patience_us = 40000;
	f->listener.max_running = 3;
	f->listener.max_connections = 1000;
	f->listener.max_connections_per_user = 1000;
	code = grpc_fixture_start(f);
	grpc_client_free(grpc_fixture_connect(f));
	return code;
}

/* Calls and connections that their clients have left count until the server has noticed, and it may
 * refuse more of them until then. */
static void assert_works(struct grpc_fixture *f)
{
	int code = -EAGAIN;

	for (int i = 0; i < 30000 && code == -EAGAIN; i++) {
		cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(f);

		code = grpc_client_call(c, "/test.Test/Echo", "x", 1, NULL, NULL, NULL);
		if (code == -EAGAIN)
			usleep(1000);
	}
	assert_int_equal(code, 0);
}

static void a_deadline_passes_after_its_client_has_closed(void **state)
{
	struct grpc_fixture *f = *state;
	unsigned ms = 300;

	hold_and_close(f, GRPC_FIXTURE_CLIENTS / 2, &ms);
	outlast_deadline(f, ms + 100);
	atomic_store(&f->go, true);
	grpc_fixture_wait_until(&f->running, 0);
	assert_works(f);
}

static void a_deadline_passes_during_the_shutdown(void **state)
{
	struct grpc_fixture *f = *state;
	cleanup(close_fd) int held = -EBADF, waiting = -EBADF;
	unsigned ms = 300, longer;

	hold_and_close(f, GRPC_FIXTURE_CLIENTS / 2, &ms);
	held = start_call(f, "Hold", &ms);
	longer = ms + 100;
	waiting = start_call(f, "Wait", &longer);
	grpc_fixture_tell(f, 1);
	/* The call that can be cancelled ends at its deadline, after those of the others. */
	grpc_fixture_wait_until(&f->running, GRPC_FIXTURE_CLIENTS / 2 + 1);
	assert_int_equal(atomic_load(&f->done), 0);
	atomic_store(&f->go, true);
	grpc_fixture_wait_until(&f->done, 1);
	assert_int_equal(atomic_load(&f->running), 0);
}

static void a_closed_connection_is_reported_after_its_last_call(void **state)
{
	struct grpc_fixture *f = *state;
	unsigned no_deadline = 0;

	grpc_fixture_wait_until(&f->closed_connections, 1); /* of set_up() */
	hold_and_close(f, 1, &no_deadline);
	/* After three other connections the server is done with everything that it does to the
	 * closed one. */
	for (int others = 1; others <= 3; others++) {
		assert_works(f);
		grpc_fixture_wait_until(&f->closed_connections, 1 + others);
	}
	atomic_store(&f->go, true);
	grpc_fixture_wait_until(&f->closed_connections, 5);
	assert_int_equal(atomic_load(&f->running), 0);
}

struct storm {
	struct grpc_fixture *f;
	unsigned seed;
	bool ended; /* the server did not listen any more */
};

static void read_until_closed(int fd)
{
	char bytes[65536];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 60000) > 0 && recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
}

static void read_a_little(int fd, int patience_ms)
{
	char bytes[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, patience_ms) > 0)
		(void)!recv(fd, bytes, sizeof(bytes), 0);
}

/* Ends the connection in one of twelve ways. */
static void hang_up(int fd, unsigned way)
{
	struct bytes b = { .length = 0 };

	switch (way) {
	case 0:
		break;
	case 1:
	case 2:
		for (uint32_t i = 0; i < STREAMS; i++)
			append_reset(&b, 2 * i + 1);
		send_bytes(fd, &b);
		if (way == 2)
			read_a_little(fd, 20);
		break;
	case 3:
		append_goaway(&b);
		send_bytes(fd, &b);
		break;
	case 4:
		(void)shutdown(fd, SHUT_WR);
		read_until_closed(fd);
		break;
	default:
		read_a_little(fd, (int)way);
	}
}

static void *blow(void *arg)
{
	static const char *const calls[] = { "Echo", "Many", "Wait", "Pour", "Late", "None" };
	static const char *const timeouts[] = { NULL, "1n", "1m", "3m", "9m", "30m" };
	struct storm *s = arg;

	for (int round = 0; round < STORM_ROUNDS; round++) {
		cleanup(close_fd) int fd = try_connect(s->f);
		struct bytes b;

		s->ended = fd < 0;
		if (s->ended)
			break;
		greet(&b);
		for (uint32_t i = 0; i < STREAMS; i++)
			append_call(&b, 2 * i + 1, calls[(size_t)rand_r(&s->seed) % 6],
				    timeouts[(size_t)rand_r(&s->seed) % 6],
				    rand_r(&s->seed) % 8 != 0);
		send_bytes(fd, &b);
		hang_up(fd, (unsigned)rand_r(&s->seed) % 12);
	}
	return NULL;
}

static void start_storm(struct grpc_fixture *f, struct storm *storms, pthread_t *threads)
{
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		storms[i] = (struct storm){ .f = f, .seed = i + 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, blow, &storms[i]), 0);
	}
}

static void clients_that_do_everything_at_once_leave_a_working_server(void **state)
{
	struct grpc_fixture *f = *state;
	struct storm storms[STORM_THREADS];
	pthread_t threads[STORM_THREADS];

	start_storm(f, storms, threads);
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(storms[i].ended);
	}
	grpc_fixture_wait_until(&f->running, 0);
	assert_works(f);
}

static void a_shutdown_ends_while_clients_do_everything_at_once(void **state)
{
	struct grpc_fixture *f = *state;
	struct storm storms[STORM_THREADS];
	pthread_t threads[STORM_THREADS];

	start_storm(f, storms, threads);
	while (atomic_load(&f->closed_connections) < STORM_THREADS * STORM_ROUNDS / 4)
		sched_yield();
	grpc_fixture_tell(f, 1);
	for (unsigned i = 0; i < STORM_THREADS; i++)
		pthread_join(threads[i], NULL);
	grpc_fixture_wait_until(&f->done, 1);
	assert_int_equal(atomic_load(&f->running), 0);
}

#define LIFETIME(test, set_up) cmocka_unit_test_setup_teardown(test, set_up, grpc_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIFETIME(a_deadline_passes_after_its_client_has_closed, set_up),
		LIFETIME(a_deadline_passes_during_the_shutdown, set_up),
		LIFETIME(a_closed_connection_is_reported_after_its_last_call, set_up),
		LIFETIME(clients_that_do_everything_at_once_leave_a_working_server, set_up),
		LIFETIME(clients_that_do_everything_at_once_leave_a_working_server, set_up_narrow),
		LIFETIME(a_shutdown_ends_while_clients_do_everything_at_once, set_up),
		LIFETIME(a_shutdown_ends_while_clients_do_everything_at_once, set_up_narrow),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
