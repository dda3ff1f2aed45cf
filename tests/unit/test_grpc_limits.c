/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that do not finish what they began, and the limits on a socket's connections and calls.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/grpc_fixture.h"

#define PATIENCE_US 160000
/* Clients that do not read: together their replies take all the memory that replies may take. */
#define POURING 4
/* So many windows of one byte are a minute's; the server's patience lasts for eight. */
#define SINGLE_BYTES 3000
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define EMPTY_SETTINGS "\0\0\0\4\0\0\0\0\0"
/* A window of no bytes for each stream. */
#define SHUT_SETTINGS "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"

/* :method POST, :scheme http, :authority t, :path /test.Test/<4 letters>, content-type
 * application/grpc. */
#define HEADER_BLOCK(method)                                         \
	"\x83\x86\x01\x01t\x04\x0f/test.Test/" method "\x0f\x10\x10" \
	"application/grpc"
#define HEADER_BYTES "\x29" /* of the block, as the frame's length */

static int set_up_impatient(void **state)
{
	struct grpc_fixture *f = grpc_fixture_new();

	*state = f;
	f->patience_us = PATIENCE_US;
	return grpc_fixture_start(f);
}

static int set_up_narrow(void **state)
{
	struct grpc_fixture *f = grpc_fixture_new();

	*state = f;
	f->listener.max_running = 1;
	f->listener.max_calls = 3;
	f->listener.max_connections = 5;
	return grpc_fixture_start(f);
}

static int raw_connect(struct grpc_fixture *f, const void *bytes, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	grpc_client_free(grpc_fixture_connect(f)); /* it listens now */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	grpc_fixture_pause(f);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
	grpc_fixture_resume(f);
	return fd;
}

/* Reads until the server closes the connection, or has sent `wanted` (if that is not NULL). */
static bool read_until(int fd, const void *wanted, size_t length)
{
	char bytes[65536];
	size_t total = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 20000) <= 0)
			return false;
		n = recv(fd, bytes + total, sizeof(bytes) - total, 0);
		if (n <= 0)
			return !wanted;
		total += (size_t)n;
		if (wanted && memmem(bytes, total, wanted, length))
			return true;
		if (total == sizeof(bytes))
			total = 0;
	}
}

static void assert_works(struct grpc_client *c)
{
	struct error e = { 0 };

	assert_int_equal(grpc_client_call(c, "/test.Test/Echo", "x", 1, NULL, NULL, &e), 0);
}

/* Returns a client that has made a call. On a busy machine the server drops a client that greets or
 * reads too late, and another one tries again. */
static struct grpc_client *connect_working(struct grpc_fixture *f)
{
	struct grpc_client *c = grpc_fixture_connect(f);

	for (int i = 0; i < 200; i++) {
		if (grpc_client_call(c, "/test.Test/Echo", "x", 1, NULL, NULL, NULL) == 0)
			return c;
		grpc_client_free(c);
		c = grpc_fixture_connect(f);
	}
	fail_msg("no client works");
	return c;
}

/* Takes at least as long as the server's patience lasts. */
static void outlast_patience(struct grpc_fixture *f)
{
	cleanup(close_fd) int fd = raw_connect(f, "", 0);

	assert_true(read_until(fd, NULL, 0));
}

static void the_server_drops_a_client_that_does_not_finish_its_greeting(void **state)
{
	struct grpc_fixture *f = *state;
	cleanup(close_fd) int nothing = raw_connect(f, "", 0);
	cleanup(close_fd) int half = raw_connect(f, PREFACE, 10);
	cleanup(close_fd) int whole = raw_connect(f, PREFACE, strlen(PREFACE));

	assert_true(read_until(nothing, NULL, 0));
	assert_true(read_until(half, NULL, 0));
	assert_true(read_until(whole, NULL, 0));
}

static void the_server_drops_a_client_whose_headers_do_not_end(void **state)
{
	static const char begun[] = PREFACE EMPTY_SETTINGS "\0\0" HEADER_BYTES "\1\0\0\0\0\1" //
		HEADER_BLOCK("Echo");
	cleanup(close_fd) int fd = raw_connect(*state, begun, sizeof(begun) - 1);

	assert_true(read_until(fd, NULL, 0));
}

static void the_server_refuses_a_request_that_does_not_arrive_whole(void **state)
{
	static const char begun[] = PREFACE EMPTY_SETTINGS "\0\0" HEADER_BYTES "\1\4\0\0\0\1" //
		HEADER_BLOCK("Echo") "\0\0\2\0\0\0\0\0\1\0\0";
	static const char reset[] = "\0\0\4\3\0\0\0\0\1\0\0\0\0"; /* without an error */
	static const char ping[] = "\0\0\x8\6\0\0\0\0\0pingpong";
	cleanup(close_fd) int fd = raw_connect(*state, begun, sizeof(begun) - 1);

	/* The reset follows the trailers, and the connection can still be used. */
	assert_true(read_until(fd, reset, sizeof(reset) - 1));
	assert_int_equal(send(fd, ping, sizeof(ping) - 1, 0), sizeof(ping) - 1);
	assert_true(read_until(fd, "pingpong", 8));
}

static void the_server_ends_the_call_of_a_client_that_does_not_read(void **state)
{
	static const char calls[] = PREFACE SHUT_SETTINGS "\0\0" HEADER_BYTES "\1\4\0\0\0\1" //
		HEADER_BLOCK("Pour") "\0\0\5\0\1\0\0\0\1\0\0\0\0\0";
	struct grpc_fixture *f = *state;
	int fds[POURING];

	for (int i = 0; i < POURING; i++)
		fds[i] = raw_connect(f, calls, sizeof(calls) - 1);
	grpc_client_free(connect_working(f));
	grpc_fixture_wait_until(&f->poured, POURING);
	grpc_fixture_wait_until(&f->running, 0);
	grpc_client_free(connect_working(f));
	for (int i = 0; i < POURING; i++)
		(void)close(fds[i]);
}

static void the_server_ends_the_call_of_a_client_that_takes_single_bytes(void **state)
{
	static const char call[] = PREFACE SHUT_SETTINGS "\0\0" HEADER_BYTES "\1\4\0\0\0\1" //
		HEADER_BLOCK("Pour") "\0\0\5\0\1\0\0\0\1\0\0\0\0\0";
	static const char window_of_a_byte[] = "\0\0\4\10\0\0\0\0\1\0\0\0\1";
	struct grpc_fixture *f = *state;
	cleanup(close_fd) int fd = raw_connect(f, call, sizeof(call) - 1);
	char bytes[4096];
	int sent = 0;

	while (!atomic_load(&f->poured) && sent++ < SINGLE_BYTES) {
		(void)send(fd, window_of_a_byte, sizeof(window_of_a_byte) - 1,
			   MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)usleep(PATIENCE_US / 8);
		(void)recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	assert_int_equal(atomic_load(&f->poured), 1);
}

static void the_server_keeps_idle_connections_and_long_calls(void **state)
{
	struct grpc_fixture *f = *state;
	cleanup(grpc_client_free) struct grpc_client *idle = connect_working(f);
	struct grpc_fixture_wait w = { .client = connect_working(f), .code = -1 };
	pthread_t thread;

	assert_works(idle);
	assert_int_equal(pthread_create(&thread, NULL, grpc_fixture_wait_call, &w), 0);
	grpc_fixture_wait_until(&f->running, 1);
	outlast_patience(f);
	outlast_patience(f);
	assert_int_equal(atomic_load(&f->running), 1);
	atomic_store(&f->go, true);
	pthread_join(thread, NULL);
	assert_int_equal(w.code, 0);
	assert_works(idle);
	grpc_client_free(w.client);
}

static void calls_above_the_limit_wait_or_are_refused(void **state)
{
	struct grpc_fixture *f = *state;
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(f);
	struct grpc_fixture_wait w[3];
	pthread_t threads[3];
	struct error e = { 0 };

	assert_works(c);
	for (int i = 0; i < 3; i++) {
		w[i] = (struct grpc_fixture_wait){ .client = grpc_fixture_connect(f), .code = -1 };
		assert_int_equal(pthread_create(&threads[i], NULL, grpc_fixture_wait_call, &w[i]),
				 0);
	}
	/* Once the three calls have begun, a fourth is refused. */
	for (int i = 0; i < 60000; i++) {
		if (grpc_client_call(c, "/test.Test/None", "", 0, NULL, NULL, &e) == -EAGAIN)
			break;
		usleep(1000);
	}
	assert_non_null(strstr(e.text, "too many calls"));
	grpc_fixture_wait_until(&f->running, 1);
	atomic_store(&f->go, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].code, 0);
		grpc_client_free(w[i].client);
	}
	assert_works(c);
}

static void connections_above_the_limit_are_closed(void **state)
{
	struct grpc_fixture *f = *state;
	struct grpc_client *clients[5];
	cleanup(grpc_client_free) struct grpc_client *late = NULL;

	for (int i = 0; i < 5; i++) {
		clients[i] = grpc_fixture_connect(f);
		assert_works(clients[i]);
	}
	late = grpc_fixture_connect(f);
	/* Whether it was closed before or after the greeting is seen does not matter. */
	assert_true(grpc_client_call(late, "/test.Test/Echo", "x", 1, NULL, NULL, NULL) < 0);
	for (int i = 0; i < 5; i++) {
		assert_works(clients[i]);
		grpc_client_free(clients[i]);
	}
}

#define LIMITS(test, set_up) cmocka_unit_test_setup_teardown(test, set_up, grpc_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIMITS(the_server_drops_a_client_that_does_not_finish_its_greeting,
		       set_up_impatient),
		LIMITS(the_server_drops_a_client_whose_headers_do_not_end, set_up_impatient),
		LIMITS(the_server_refuses_a_request_that_does_not_arrive_whole, set_up_impatient),
		LIMITS(the_server_ends_the_call_of_a_client_that_does_not_read, set_up_impatient),
		LIMITS(the_server_ends_the_call_of_a_client_that_takes_single_bytes,
		       set_up_impatient),
		LIMITS(the_server_keeps_idle_connections_and_long_calls, set_up_impatient),
		LIMITS(calls_above_the_limit_wait_or_are_refused, set_up_narrow),
		LIMITS(connections_above_the_limit_are_closed, set_up_narrow),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
