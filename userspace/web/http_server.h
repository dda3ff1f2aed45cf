/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for programs that only read: GET and HEAD, on listening sockets that the caller opened.
 * One thread of its own serves all connections; requests on slow sockets are handled on a second
 * one, and those that may take seconds on a third, so that they delay nothing else. What is slow,
 * unread or idle for too long is closed, and so is what exceeds the limits, so that no client keeps
 * others out.
 */
#pragma once

#include "base/error.h"
#include "web/http_message.h"

#define HTTP_SERVER_SOCKETS_MAX 4
struct http_socket {
	int fd; /* it listens, and does not block; the server takes it */
	bool is_local; /* a unix socket: the Host header does not matter */
	bool is_slow; /* its requests are handled on other threads */
};

struct http_server_options {
	struct http_socket sockets[HTTP_SERVER_SOCKETS_MAX];
	size_t socket_count;
	struct http_handler handler; /* for slow sockets called on two other threads */
};

struct http_server;

/* Takes the sockets, also on failure. */
int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
		      struct error *e);
/* Closes all connections; the handler is not called afterwards. */
void http_server_stop(struct http_server *s);
DEFINE_CLEANUP(struct http_server *, http_server_stop)
