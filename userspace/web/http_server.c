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
#include "web/http_jobs.h"
#include "web/negotiation.h"

#define CONNECTIONS 64U
#define CONNECTION_BYTES ((size_t)16 * 1024) /* of one request's headers, and buffers */
/* How long a connection may go without finishing a request. */
#define PATIENCE_NS (10 * NS_PER_S)
#define SWEEP_MS 1000

struct door {
	struct http_server *server;
	struct MHD_Daemon *daemon; /* NULL: none */
	const struct http_socket *socket;
};

struct connection {
	struct connection *next, **link;
	int fd; /* the library's */
	int64_t served_ns; /* when it came, or its last request was finished */
	bool waits; /* for a job, and not the agent for it */
	bool asks; /* a request has begun, and its reply was not sent yet */
	unsigned ended; /* sweeps since the client has ended what it sends */
};

enum job_kind { JOB_BRIEF, JOB_LONG, JOB_KINDS };

/* How long a request may be worked on. */
static const int64_t work_ns[JOB_KINDS] = {
	[JOB_BRIEF] = 15 * NS_PER_S, [JOB_LONG] = 60 * NS_PER_S
};

struct http_server {
	struct http_server_options options;
	struct door doors[HTTP_SERVER_SOCKETS_MAX];
	struct connection *connections;
	struct http_jobs *jobs[JOB_KINDS]; /* NULL: no socket is slow */
	pthread_t thread;
	bool runs;
	int stop_fd;
	int wake_fd; /* a job is done */
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

static void free_job(struct http_job *job)
{
	free(job->reply.owned);
	free(job);
}

static struct connection *connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void on_completed(void *user, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct connection *c = connection_of(connection);

	if (*context && *context != user)
		free_job(*context);
	if (c)
		c->asks = false;
	if (c && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		c->served_ns = clock_monotonic_ns();
}

/* A client that sends no more, and whose last request is answered or will never be complete, is
 * waited for by the library like any other. It may have a request that was not looked at yet, so
 * this needs two sweeps without one. */
static bool has_ended(struct connection *c)
{
	struct pollfd client = { .fd = c->fd, .events = POLLRDHUP };

	if (c->asks || c->waits || poll(&client, 1, 0) <= 0 || !(client.revents & POLLRDHUP))
		c->ended = 0;
	else
		c->ended++;
	return c->ended > 1;
}

/* The library's own timeout starts again with each byte; this one does not. */
static void sweep(struct http_server *s)
{
	int64_t now_ns = clock_monotonic_ns();

	for (struct connection *c = s->connections; c; c = c->next)
		if (has_ended(c) || (!c->waits && now_ns - c->served_ns > PATIENCE_NS))
			(void)shutdown(c->fd, SHUT_RDWR); /* the library then closes it */
	for (int kind = 0; kind < JOB_KINDS; kind++)
		if (s->jobs[kind])
			http_jobs_limit(s->jobs[kind], work_ns[kind]);
}

/* ---- requests ---- */

/* Nothing that a page shows may be run, loaded from elsewhere, or framed by another page. */
#define PAGE_POLICY                                                                 \
	"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

static bool add_headers(struct MHD_Response *response, const struct http_reply *reply)
{
	const struct {
		const char *name, *value;
		bool wanted;
	} headers[] = {
		{ MHD_HTTP_HEADER_CONTENT_TYPE, reply->type, true },
		{ MHD_HTTP_HEADER_CACHE_CONTROL, "no-store", true },
		{ "X-Content-Type-Options", "nosniff", true },
		{ MHD_HTTP_HEADER_ALLOW, "GET, HEAD",
		  reply->status == MHD_HTTP_METHOD_NOT_ALLOWED },
		{ "Content-Security-Policy", PAGE_POLICY, reply->is_page },
		{ "Cross-Origin-Resource-Policy", "same-origin", reply->is_page },
		{ "Cross-Origin-Opener-Policy", "same-origin", reply->is_page },
		{ "Referrer-Policy", "no-referrer", reply->is_page },
		{ "X-Frame-Options", "DENY", reply->is_page },
	};

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (headers[i].wanted &&
		    !MHD_add_response_header(response, headers[i].name, headers[i].value))
			return false;
	return true;
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct http_reply *reply)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		reply->length, (void *)reply->text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (add_headers(response, reply))
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

static enum MHD_Result add_parameter(void *user, enum MHD_ValueKind kind, const char *name,
				     const char *value)
{
	struct http_request *request = user;

	(void)kind;
	if (request->parameter_count == HTTP_MESSAGE_PARAMETERS_MAX)
		return MHD_NO;
	request->parameters[request->parameter_count++] =
		(struct http_parameter){ name, value ? value : "" };
	return MHD_YES;
}

static void fill_request(const struct door *door, struct MHD_Connection *connection,
			 const char *url, struct http_request *request)
{
	*request = (struct http_request){ .socket = (size_t)(door - door->server->doors),
					  .path = url,
					  .accept = header(connection, MHD_HTTP_HEADER_ACCEPT) };
	(void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_parameter, request);
}

/* The library notes it, and looks at its connections when it is run the next time. */
static void resume(struct http_job *job)
{
	int wake_fd = job->wake_fd;

	MHD_resume_connection(job->connection); /* the job may be gone from now on */
	(void)eventfd_write(wake_fd, 1);
}

static enum job_kind kind_of(const struct http_server *s, const struct http_request *request)
{
	const struct http_handler *handler = &s->options.handler;

	return handler->takes_long && handler->takes_long(request) ? JOB_LONG : JOB_BRIEF;
}

/* The connection sleeps until the job is done; what the request points to is its. */
static enum MHD_Result start_job(struct door *door, struct MHD_Connection *connection,
				 const char *url, void **context)
{
	struct connection *c = connection_of(connection);
	struct http_job *job = c ? calloc(1, sizeof(*job)) : NULL;

	if (!job)
		return MHD_NO;
	c->waits = true;
	job->fd = c->fd;
	fill_request(door, connection, url, &job->request);
	job->connection = connection;
	job->wake_fd = door->server->wake_fd;
	job->done = resume;
	job->reply = (struct http_reply){ .status = MHD_HTTP_SERVICE_UNAVAILABLE,
					  .type = "text/plain; charset=utf-8",
					  .text = "the agent ends\n",
					  .length = strlen("the agent ends\n") };
	*context = job;
	MHD_suspend_connection(connection);
	http_jobs_add(door->server->jobs[kind_of(door->server, &job->request)], job);
	return MHD_YES;
}

static enum MHD_Result handle(struct door *door, struct MHD_Connection *connection, const char *url)
{
	struct http_server *s = door->server;
	struct http_request request;
	struct http_reply reply = { 0 };
	enum MHD_Result result;

	fill_request(door, connection, url, &request);
	s->options.handler.handle(&request, &reply, s->options.handler.user);
	result = send_reply(connection, &reply);
	free(reply.owned);
	return result;
}

static enum MHD_Result finish_job(struct MHD_Connection *connection, const struct http_job *job)
{
	struct connection *c = connection_of(connection);

	c->waits = false;
	c->served_ns = clock_monotonic_ns(); /* its patience begins with the reply */
	return send_reply(connection, &job->reply);
}

/* Called when the headers are there, again at the end of a request without a body, and again when
 * the job of the request is done: then the context is the job. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct door *door = user;
	struct connection *c = connection_of(connection);

	(void)version;
	(void)upload;
	(void)upload_size;
	if (c)
		c->asks = true;
	if (*context && *context != door)
		return finish_job(connection, *context);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (!door->socket->is_local &&
	    !negotiation_is_local_host(header(connection, MHD_HTTP_HEADER_HOST)))
		return refuse(connection, MHD_HTTP_FORBIDDEN,
			      "the Host header does not name this machine: use localhost\n");
	if (has_body(connection) && door->socket->is_slow)
		return refuse(connection, MHD_HTTP_BAD_REQUEST, "a request has no body here\n");
	if (!*context && !has_body(connection)) {
		*context = door;
		return MHD_YES;
	}
	return door->socket->is_slow ? start_job(door, connection, url, context)
				     : handle(door, connection, url);
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
	struct pollfd fds[HTTP_SERVER_SOCKETS_MAX + 2] = { { .fd = s->stop_fd, .events = POLLIN },
							   { .fd = s->wake_fd, .events = POLLIN } };
	int64_t swept_ns = clock_monotonic_ns();
	eventfd_t done;

	for (size_t i = 0; i < s->options.socket_count; i++)
		fds[i + 2] = (struct pollfd){ .fd = epoll_fd(&s->doors[i]), .events = POLLIN };
	for (;;) {
		/* An interrupted wait is like one that has ended. */
		(void)poll(fds, 2 + s->options.socket_count, next_wait_ms(s));
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			(void)eventfd_read(s->wake_fd, &done);
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
	const struct http_socket *socket = &s->options.sockets[i];

	*door = (struct door){ .server = s, .socket = socket };
	door->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, door, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, socket->fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)(PATIENCE_NS / NS_PER_S), MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		door, MHD_OPTION_NOTIFY_COMPLETED, on_completed, door, MHD_OPTION_STRICT_FOR_CLIENT,
		1, MHD_OPTION_END);
	return door->daemon ? 0 : error_set(e, -EIO, "cannot start the HTTP server");
}

/* What no daemon has taken is closed here. */
static void close_sockets(struct http_server *s)
{
	for (size_t i = 0; i < s->options.socket_count; i++)
		if (!s->doors[i].daemon)
			cleanup_close_fd(&s->options.sockets[i].fd);
}

int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
		      struct error *e)
{
	cleanup(http_server_stop) struct http_server *s = calloc(1, sizeof(*s));
	int code = 0;

	if (!s) {
		for (size_t i = 0; i < options->socket_count; i++)
			(void)close(options->sockets[i].fd); /* nothing was written */
		return error_set(e, -ENOMEM, "out of memory");
	}
	s->options = *options;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0 || s->wake_fd < 0)
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	for (size_t i = 0; i < options->socket_count && code == 0; i++) {
		code = open_door(s, i, e);
		for (int kind = 0; kind < JOB_KINDS && code == 0; kind++)
			if (options->sockets[i].is_slow && !s->jobs[kind])
				code = http_jobs_start(&s->options.handler, &s->jobs[kind], e);
	}
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
	for (int kind = 0; kind < JOB_KINDS; kind++)
		if (s->jobs[kind])
			http_jobs_stop(s->jobs[kind]); /* their connections are resumed then */
	for (size_t i = 0; i < s->options.socket_count; i++)
		if (s->doors[i].daemon)
			MHD_stop_daemon(s->doors[i].daemon);
	close_sockets(s);
	cleanup_close_fd(&s->stop_fd);
	cleanup_close_fd(&s->wake_fd);
	free(s);
}
