/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All bytes that a client sends to a server, which must serve other clients as before. The first
 * byte is the number of bytes that arrive at a time, the second says which parts of a greeting are
 * sent first.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz_target.h"
#include "transport/grpc_server.h"
#include "transport/grpc_server_state.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
/* :method POST, :scheme http, :authority t, :path /t/Echo, content-type application/grpc. */
#define HEADERS                                       \
	"\0\0\x21\1\4\0\0\0\1\x83\x86\x01\x01t\x04\7" \
	"/t/Echo\x0f\x10\x10"                         \
	"application/grpc"

enum { WITH_PREFACE = 1, WITH_SETTINGS = 2, WITH_HEADERS = 4 };

static void echo(struct grpc_call *call, void *user)
{
	size_t length;
	const uint8_t *request = grpc_call_request(call, &length);

	(void)user;
	grpc_call_reply(call, request, length);
}

static void stream(struct grpc_call *call, void *user)
{
	int code = 0;

	(void)user;
	for (int i = 0; i < 100 && code == 0; i++)
		code = grpc_call_send(call, "message", 7);
	grpc_call_finish(call, code, "end");
}

static const struct grpc_method methods[] = {
	{ "/t/Echo", echo, GRPC_METHOD_READS, NULL },
	{ "/t/Stream", stream, GRPC_METHOD_CHANGES, NULL },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};

static int run_at_once(void (*work)(void *arg), void *arg, void *user)
{
	(void)user;
	work(arg);
	return 0;
}

static struct grpc_server *start(sd_event *loop)
{
	static const struct grpc_service services[] = { { methods, NULL }, { NULL, NULL } };
	struct grpc_server_options options = { .services = services,
					       .submit = run_at_once,
					       .max_message_bytes = 1000,
					       .patience_us = UINT64_C(3600) * 1000000 };
	struct grpc_listener_options listener = { .max_connections = 1,
						  .max_connections_per_user = 1,
						  .max_calls = 50,
						  .max_running = 50,
						  .max_held_bytes = 10000 };
	struct grpc_server *server = NULL;
	struct error e;

	assert(grpc_server_new(loop, &options, &server, &e) == 0);
	/* No client connects to the socket: the target passes connections to the server. */
	assert(grpc_server_listen(server, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), &listener, &e) ==
	       0);
	return server;
}

static void settle(sd_event *loop, int client)
{
	char reply[4096];

	do
		while (sd_event_run(loop, 0) > 0)
			;
	while (recv(client, reply, sizeof(reply), MSG_DONTWAIT) > 0);
}

static void send_all(sd_event *loop, int client, const void *bytes, size_t size, size_t piece)
{
	for (size_t at = 0; at < size; at += piece) {
		size_t length = size - at < piece ? size - at : piece;

		if (send(client, (const char *)bytes + at, length, MSG_NOSIGNAL) < 0)
			return; /* the server has closed the connection */
		settle(loop, client);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static sd_event *loop;
	static struct grpc_server *server;
	cleanup(close_fd) int client = -EBADF;
	int ends[2];

	if (!loop)
		assert(sd_event_new(&loop) >= 0);
	if (!server)
		server = start(loop);
	if (size < 2)
		return 0;
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	client = ends[0];
	grpc_server_accept(server, &server->lanes[0], ends[1]);
	if (data[1] & WITH_PREFACE)
		send_all(loop, client, PREFACE, strlen(PREFACE), SIZE_MAX / 2);
	if (data[1] & WITH_SETTINGS)
		send_all(loop, client, SETTINGS, sizeof(SETTINGS) - 1, SIZE_MAX / 2);
	if (data[1] & WITH_HEADERS)
		send_all(loop, client, HEADERS, sizeof(HEADERS) - 1, SIZE_MAX / 2);
	send_all(loop, client, data + 2, size - 2, data[0] ? data[0] : 65536);
	cleanup_close_fd(&client);
	client = -EBADF;
	while (sd_event_run(loop, 0) > 0)
		;
	assert(!server->connections && server->lanes[0].connections == 0);
	assert(server->lanes[0].calls == 0 && server->lanes[0].running == 0);
	assert(atomic_load(&server->lanes[0].budget.held_bytes) == 0);
	return 0;
}
