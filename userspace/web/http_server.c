/* SPDX-License-Identifier: Apache-2.0 */
#include "web/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "web/negotiation.h"

#define CONNECTIONS 64U
#define CONNECTION_BYTES ((size_t)16 * 1024) /* of one request's headers, and buffers */
/* How long a connection may go without finishing a request. */
#define PATIENCE_NS (20 * NS_PER_S)
#define SWEEP_MS 1000

struct door {
	struct http_server *server;
	struct MHD_Daemon *daemon; /* NULL: none */
	bool is_local;
};

struct connection {
	struct connection *next, **link;
	int fd; /* the library's */
	int64_t served_ns; /* when it came, or its last request was finished */
};

struct http_server {
	struct http_server_options options;
	struct door doors[HTTP_SERVER_SOCKETS_MAX];
	struct connection *connections;
	pthread_t thread;
	bool runs;
	int stop_fd;
};

/* ---- connections ---- */

static void open_connection(struct http_server *s, struct MHD_Connection *connection,
			    void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *c = calloc(1, sizeof(*c));

	*context = c;
	if (!c || !info) {
		free(c);
		*context = NULL;
		if (info)
			(void)shutdown(info->connect_fd, SHUT_RDWR); /* nothing would watch it */
		return;
	}
	c->fd = info->connect_fd;
	c->served_ns = clock_monotonic_ns();
	c->next = s->connections;
	c->link = &s->connections;
	if (c->next)
		c->next->link = &c->next;
	s->connections = c;
}

static void close_connection(struct connection *c)
{
	if (!c)
		return;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
}

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct door *door = user;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		open_connection(door->server, connection, context);
	else
		close_connection(*context);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct connection *c = info ? info->socket_context : NULL;

	(void)user;
	(void)context;
	if (c && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		c->served_ns = clock_monotonic_ns();
}

/* The library's own timeout starts again with each byte; this one does not. */
static void sweep(struct http_server *s)
{
	int64_t now_ns = clock_monotonic_ns();

	for (struct connection *c = s->connections; c; c = c->next)
		if (now_ns - c->served_ns > PATIENCE_NS)
			(void)shutdown(c->fd, SHUT_RDWR); /* the library then closes it */
}

/* ---- requests ---- */

static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct http_reply *reply)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		reply->length, (void *)reply->text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type) &&
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") &&
	    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") &&
	    (reply->status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD")))
		result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
	return send_reply(connection, &(struct http_reply){ .status = status,
							    .type = "text/plain; charset=utf-8",
							    .text = text,
							    .length = strlen(text) });
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* An answer before the end of a request closes the connection, so that no body is read. */
static bool has_body(struct MHD_Connection *connection)
{
	return header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
	       header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* Called when the headers are there, and again at the end of a request without a body. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct door *door = user;
	struct http_server *s = door->server;
	struct http_request request = { .path = url,
					.accept = header(connection, MHD_HTTP_HEADER_ACCEPT) };
	struct http_reply reply = { 0 };

	(void)version;
	(void)upload;
	(void)upload_size;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (!door->is_local && !negotiation_is_local_host(header(connection, MHD_HTTP_HEADER_HOST)))
		return refuse(connection, MHD_HTTP_FORBIDDEN,
			      "the Host header does not name this machine: use localhost\n");
	if (!*context && !has_body(connection)) {
		*context = door;
		return MHD_YES;
	}
	s->options.handle(&request, &reply, s->options.user);
	return send_reply(connection, &reply);
}

/* ---- the thread ---- */

static int epoll_fd(const struct door *door)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info ? info->epoll_fd : -1;
}

static int next_wait_ms(const struct http_server *s)
{
	int wait_ms = SWEEP_MS;

	for (size_t i = 0; i < s->options.socket_count; i++) {
		MHD_UNSIGNED_LONG_LONG ms;

		if (MHD_get_timeout(s->doors[i].daemon, &ms) == MHD_YES &&
		    ms < (MHD_UNSIGNED_LONG_LONG)wait_ms)
			wait_ms = (int)ms;
	}
	return wait_ms;
}

static void *serve(void *user)
{
	struct http_server *s = user;
	struct pollfd fds[HTTP_SERVER_SOCKETS_MAX + 1] = { { .fd = s->stop_fd, .events = POLLIN } };
	int64_t swept_ns = clock_monotonic_ns();

	for (size_t i = 0; i < s->options.socket_count; i++)
		fds[i + 1] = (struct pollfd){ .fd = epoll_fd(&s->doors[i]), .events = POLLIN };
	for (;;) {
		/* An interrupted wait is like one that has ended. */
		(void)poll(fds, 1 + s->options.socket_count, next_wait_ms(s));
		if (fds[0].revents)
			return NULL;
		for (size_t i = 0; i < s->options.socket_count; i++)
			(void)MHD_run(s->doors[i].daemon);
		if (clock_monotonic_ns() - swept_ns < SWEEP_MS * (NS_PER_S / 1000))
			continue;
		sweep(s);
		swept_ns = clock_monotonic_ns();
	}
}

static void ignore_log(void *user, const char *format, va_list args)
{
	(void)user;
	(void)format;
	(void)args;
}

/* The library closes the socket when the daemon stops. */
static int open_door(struct http_server *s, size_t i, struct error *e)
{
	struct door *door = &s->doors[i];
	int fd = s->options.sockets[i];

	*door = (struct door){ .server = s, .is_local = s->options.is_local[i] };
	door->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, door,
		MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(PATIENCE_NS / NS_PER_S),
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, door, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, door, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	return door->daemon ? 0 : error_set(e, -EIO, "cannot start the HTTP server");
}

/* What no daemon has taken is closed here. */
static void close_sockets(struct http_server *s)
{
	for (size_t i = 0; i < s->options.socket_count; i++)
		if (!s->doors[i].daemon)
			cleanup_close_fd(&s->options.sockets[i]);
}

int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
		      struct error *e)
{
	cleanup(http_server_stop) struct http_server *s = calloc(1, sizeof(*s));
	int code = 0;

	if (!s) {
		for (size_t i = 0; i < options->socket_count; i++)
			(void)close(options->sockets[i]); /* nothing was written */
		return error_set(e, -ENOMEM, "out of memory");
	}
	s->options = *options;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0)
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	for (size_t i = 0; i < options->socket_count && code == 0; i++)
		code = open_door(s, i, e);
	if (code < 0)
		return code;
	code = -pthread_create(&s->thread, NULL, serve, s);
	if (code < 0)
		return error_set(e, code, "thread of the HTTP server: %s", strerror(-code));
	s->runs = true;
	*ret_server = take_ptr(s);
	return 0;
}

void http_server_stop(struct http_server *s)
{
	if (s->runs) {
		(void)eventfd_write(s->stop_fd, 1); /* cannot fail: its count is 0 */
		pthread_join(s->thread, NULL);
	}
	for (size_t i = 0; i < s->options.socket_count; i++)
		if (s->doors[i].daemon)
			MHD_stop_daemon(s->doors[i].daemon);
	close_sockets(s);
	cleanup_close_fd(&s->stop_fd);
	free(s);
}
