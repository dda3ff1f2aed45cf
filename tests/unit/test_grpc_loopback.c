/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/lib/grpc_fixture.h"
#include "transport/http2_session.h"

static int set_up(void **state)
{
	*state = grpc_fixture_new();
	return grpc_fixture_start(*state);
}

struct reply {
	size_t messages, bytes;
	char first[64];
	size_t cancel_after; /* 0: never */
	bool slow;
};

static int on_reply(const uint8_t *message, size_t length, void *user)
{
	struct reply *r = user;

	if (r->messages == 0)
		(void)snprintf(r->first, sizeof(r->first), "%.*s", (int)(length < 60 ? length : 60),
			       (const char *)message);
	r->messages++;
	r->bytes += length;
	if (r->slow && r->messages % 500 == 0)
		usleep(2000);
	return r->cancel_after && r->messages == r->cancel_after ? -EINTR : 0;
}

static void a_unary_call_gets_one_reply(void **state)
{
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(*state);
	struct error e = { 0 };

	for (int i = 0; i < 50; i++) {
		struct reply r = { 0 };
		char message[32];

		(void)snprintf(message, sizeof(message), "hello %d", i);
		assert_int_equal(grpc_client_call(c, "/test.Test/Echo", message, strlen(message),
						  on_reply, &r, &e),
				 0);
		assert_int_equal(r.messages, 1);
		assert_string_equal(r.first, message);
	}
}

static void each_service_gets_its_own_user_pointer(void **state)
{
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(*state);
	struct error e = { 0 };
	struct reply r = { 0 };

	assert_int_equal(grpc_client_call(c, "/test.Other/Echo", "x", 1, on_reply, &r, &e), 0);
	assert_string_equal(r.first, "other");
	assert_true(grpc_client_call(c, "/test.Other/Many", "x", 1, on_reply, &r, &e) < 0);
}

static void an_empty_message_arrives(void **state)
{
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(*state);
	struct reply r = { 0 };

	assert_int_equal(grpc_client_call(c, "/test.Test/Echo", "", 0, on_reply, &r, NULL), 0);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.bytes, 0);
}

static void a_long_stream_waits_for_a_slow_reader(void **state)
{
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(*state);
	struct reply r = { .slow = true };

	assert_int_equal(grpc_client_call(c, "/test.Test/Many", "", 0, on_reply, &r, NULL), 0);
	assert_int_equal(r.messages, GRPC_FIXTURE_MESSAGES);
	assert_int_equal(r.bytes, GRPC_FIXTURE_MESSAGES * 200);
}

static void messages_up_to_the_limit_go_both_ways(void **state)
{
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(*state);
	cleanup(free_ptr) char *message = calloc(1, GRPC_FIXTURE_BIG_BYTES + 1);
	struct error e = { 0 };
	struct reply r = { 0 };

	assert_int_equal(grpc_client_call(c, "/test.Test/Echo", message, GRPC_FIXTURE_BIG_BYTES,
					  on_reply, &r, &e),
			 0);
	assert_int_equal(r.bytes, GRPC_FIXTURE_BIG_BYTES);
	assert_true(grpc_client_call(c, "/test.Test/Echo", message, GRPC_FIXTURE_BIG_BYTES + 1,
				     on_reply, &r, &e) < 0);
	assert_non_null(strstr(e.text, "longer than the limit"));
	/* The connection can still be used. */
	assert_int_equal(grpc_client_call(c, "/test.Test/Echo", "x", 1, on_reply, &r, &e), 0);
}

static void the_client_gets_code_and_text_of_an_error(void **state)
{
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(*state);
	struct error e = { 0 };

	assert_int_equal(grpc_client_call(c, "/test.Test/Fail", "", 0, on_reply, NULL, &e), -EBUSY);
	assert_string_equal(e.text, grpc_fixture_odd_text);
	assert_int_equal(grpc_client_call(c, "/test.Test/None", "", 0, on_reply, NULL, &e),
			 -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "/test.Test/None"));
	assert_non_null(strstr(e.text, "this is a test"));
}

static void a_cancelled_stream_ends_its_worker(void **state)
{
	struct grpc_fixture *f = *state;
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(f);
	struct reply r = { .cancel_after = 3 };

	assert_int_equal(grpc_client_call(c, "/test.Test/Many", "", 0, on_reply, &r, NULL), -EINTR);
	assert_int_equal(r.messages, 3);
	r = (struct reply){ 0 };
	assert_int_equal(grpc_client_call(c, "/test.Test/Echo", "x", 1, on_reply, &r, NULL), 0);
}

/* This program again, as a client: a copy of a process with several threads, which fork() makes,
 * may wait for ever for a lock of the allocator. */
static pid_t start_client(const char *path)
{
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when the test fails */
		(void)execl("/proc/self/exe", "client", path, NULL);
		_exit(127);
	}
	return child;
}

static int run_client(const char *path)
{
	cleanup(grpc_client_free) struct grpc_client *c = NULL;

	return grpc_client_connect(path, &c, NULL) < 0 ||
	       grpc_client_call(c, "/test.Test/Wait", "", 0, NULL, NULL, NULL) < 0;
}

/* A client that is killed in the middle of a call. */
static void a_dropped_connection_cancels_its_call(void **state)
{
	struct grpc_fixture *f = *state;
	pid_t child;

	grpc_client_free(grpc_fixture_connect(f)); /* the fixture listens */
	grpc_fixture_wait_until(&f->closed_connections, 1);
	child = start_client(f->path);
	assert_true(child > 0);
	grpc_fixture_wait_until(&f->running, 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	grpc_fixture_wait_until(&f->running, 0);
	grpc_fixture_wait_until(&f->closed_connections, 2);
	assert_int_equal(atomic_load(&f->calls_in_closed), 0);
	(void)waitpid(child, NULL, 0);
}

static void *call_often(void *arg)
{
	struct grpc_fixture *f = arg;
	cleanup(grpc_client_free) struct grpc_client *c = grpc_fixture_connect(f);
	intptr_t failed = 0;

	for (int i = 0; i < 50; i++) {
		struct reply r = { 0 };
		const char *path = i % 10 ? "/test.Test/Echo" : "/test.Test/Fail";
		int code = grpc_client_call(c, path, "hello", 5, on_reply, &r, NULL);

		failed += i % 10 ? code != 0 || r.messages != 1 : code != -EBUSY;
	}
	return (void *)failed;
}

static void many_clients_can_call_at_once(void **state)
{
	pthread_t threads[GRPC_FIXTURE_CLIENTS];
	void *failed;

	for (int i = 0; i < GRPC_FIXTURE_CLIENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, *state), 0);
	for (int i = 0; i < GRPC_FIXTURE_CLIENTS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void a_running_call_ends_before_the_shutdown_does(void **state)
{
	struct grpc_fixture *f = *state;
	struct grpc_fixture_wait w = { .client = grpc_fixture_connect(f), .code = -1 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, grpc_fixture_wait_call, &w), 0);
	grpc_fixture_wait_until(&f->running, 1);
	grpc_fixture_tell(f, 1);
	usleep(20000); /* GOAWAY goes out meanwhile; nothing may end before the call does */
	assert_int_equal(atomic_load(&f->done), 0);
	atomic_store(&f->go, true);
	pthread_join(thread, NULL);
	assert_int_equal(w.code, 0);
	grpc_fixture_wait_until(&f->done, 1);
	grpc_client_free(w.client);
}

/* Sends bytes that are not gRPC on a connection of their own; returns the length of what the server
 * sent until it closed the connection or fell silent. */
static size_t say(struct grpc_fixture *f, const void *bytes, size_t length, char *reply,
		  size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_usec = 300000 };
	cleanup(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t total = 0;
	ssize_t n;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	while (total < size && (n = read(fd, reply + total, size - total)) > 0)
		total += (size_t)n;
	return total;
}

static void clients_of_other_protocols_do_no_harm(void **state)
{
	struct grpc_fixture *f = *state;
	static const char http1[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	char reply[4096], noise[2000];

	grpc_client_free(grpc_fixture_connect(f)); /* it listens now */
	(void)say(f, http1, strlen(http1), reply, sizeof(reply));
	memset(noise, 0xff, sizeof(noise));
	(void)say(f, noise, sizeof(noise), reply, sizeof(reply));
	/* The preface, then a frame that announces 16 MiB. */
	(void)say(f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00\x00\x00\x00\x00\x01", 33,
		  reply, sizeof(reply));
	a_unary_call_gets_one_reply(state);
}

/* A raw HTTP/2 client, for headers that struct grpc_client never sends. */
struct raw {
	struct http2_session session;
	const char *body;
	size_t body_length;
	char http_status[8], grpc_status[8], accepted[16];
	bool closed;
};

static ssize_t raw_body(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t room,
			uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct raw *r = source->ptr;
	size_t count = r->body_length < room ? r->body_length : room;

	(void)session;
	(void)stream;
	(void)user;
	memcpy(bytes, r->body, count);
	r->body += count;
	r->body_length -= count;
	if (r->body_length == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)count;
}

static int raw_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		      size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
		      void *user)
{
	struct raw *r = user;

	(void)session;
	(void)frame;
	(void)flags;
	(void)length;
	if (name_length == 7 && memcmp(name, ":status", 7) == 0)
		(void)snprintf(r->http_status, sizeof(r->http_status), "%s", value);
	if (name_length == 20 && memcmp(name, "grpc-accept-encoding", 20) == 0)
		(void)snprintf(r->accepted, sizeof(r->accepted), "%s", value);
	if (name_length == 11 && memcmp(name, "grpc-status", 11) == 0)
		(void)snprintf(r->grpc_status, sizeof(r->grpc_status), "%s", value);
	return 0;
}

static int raw_closed(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
	(void)session;
	(void)stream;
	(void)code;
	((struct raw *)user)->closed = true;
	return 0;
}

static void raw_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_header_callback(callbacks, raw_header);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, raw_closed);
}

static int raw_connect(struct grpc_fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	grpc_client_free(grpc_fixture_connect(f)); /* it listens now */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void raw_call(struct grpc_fixture *f, struct raw *r, const char *method, const char *type,
		     const char *path, const char *timeout)
{
	nghttp2_nv headers[] = {
		http2_session_header(":method", method),
		http2_session_header(":scheme", "http"),
		http2_session_header(":path", path),
		http2_session_header(":authority", "test"),
		http2_session_header("content-type", type),
		http2_session_header("grpc-timeout", timeout),
	};
	nghttp2_data_provider provider = { .source.ptr = r, .read_callback = raw_body };

	assert_int_equal(http2_session_open(&r->session, raw_connect(f), HTTP2_SESSION_CLIENT,
					    raw_callbacks, r),
			 0);
	assert_true(nghttp2_submit_request(r->session.nghttp2, NULL, headers, ARRAY_SIZE(headers),
					   &provider, NULL) > 0);
	for (int i = 0; i < 5000 && !r->closed; i++) {
		int code = http2_session_write(&r->session);

		if (code == 0)
			code = http2_session_read(&r->session);
		if (code == -EAGAIN)
			usleep(1000);
		else if (code < 0)
			break;
	}
	http2_session_close(&r->session);
}

static void malformed_calls_get_the_right_status(void **state)
{
	static const struct {
		const char *method, *type, *path, *timeout;
		const char *body;
		size_t length;
		const char *http, *grpc;
	} calls[] = {
		{ "POST", "application/grpc", "/test.Test/Echo", "10S", "\0\0\0\0\1x", 6, "200",
		  "0" },
		{ "GET", "application/grpc", "/test.Test/Echo", "10S", "\0\0\0\0\1x", 6, "405",
		  "" },
		{ "POST", "text/plain", "/test.Test/Echo", "10S", "\0\0\0\0\1x", 6, "415", "" },
		{ "POST", "application/grpc", "/no", "10S", "\0\0\0\0\1x", 6, "200", "12" },
		{ "POST", "application/grpc", "/test.Test/Echo", "10S", "\1\0\0\0\1x", 6, "200",
		  "12" },
		{ "POST", "application/grpc", "/test.Test/Echo", "10S", "\0\0\0\0\1x\0\0\0\0\1y",
		  12, "200", "12" },
		{ "POST", "application/grpc", "/test.Test/Echo", "10S", "\0\0\0\0\5x", 6, "200",
		  "3" },
		{ "POST", "application/grpc", "/test.Test/Echo", "10S", "", 0, "200", "3" },
		{ "POST", "application/grpc", "/test.Test/Echo", "10S", "\0\377\377\377\377x", 6,
		  "200", "8" },
		{ "POST", "application/grpc", "/test.Test/Wait", "50m", "\0\0\0\0\0", 5, "200",
		  "4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct raw r = { .body = calls[i].body, .body_length = calls[i].length };

		raw_call(*state, &r, calls[i].method, calls[i].type, calls[i].path,
			 calls[i].timeout);
		assert_true(r.closed);
		assert_string_equal(r.http_status, calls[i].http);
		assert_string_equal(r.grpc_status, calls[i].grpc);
		assert_string_equal(r.accepted, calls[i].grpc[0] ? "identity" : "");
	}
}

static void connecting_to_a_missing_socket_fails_with_a_hint(void **state)
{
	struct grpc_client *c = NULL;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(grpc_client_connect("unix:///tmp/varve-no-such/sock", &c, &e), -ENOENT);
	assert_non_null(strstr(e.text, "is varved running?"));
	assert_int_equal(grpc_client_connect("tcp://127.0.0.1:1", &c, &e), -EINVAL);
	assert_null(c);
}

#define LOOPBACK(test) cmocka_unit_test_setup_teardown(test, set_up, grpc_fixture_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LOOPBACK(a_unary_call_gets_one_reply),
		LOOPBACK(each_service_gets_its_own_user_pointer),
		LOOPBACK(an_empty_message_arrives),
		LOOPBACK(a_long_stream_waits_for_a_slow_reader),
		LOOPBACK(messages_up_to_the_limit_go_both_ways),
		LOOPBACK(the_client_gets_code_and_text_of_an_error),
		LOOPBACK(a_cancelled_stream_ends_its_worker),
		LOOPBACK(a_dropped_connection_cancels_its_call),
		LOOPBACK(many_clients_can_call_at_once),
		LOOPBACK(a_running_call_ends_before_the_shutdown_does),
		LOOPBACK(clients_of_other_protocols_do_no_harm),
		LOOPBACK(malformed_calls_get_the_right_status),
		cmocka_unit_test(connecting_to_a_missing_socket_fails_with_a_hint),
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc == 2)
		return run_client(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
