/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for programs that only read: GET and HEAD, on listening sockets that the caller opened.
 * One thread of its own serves all connections and calls the handler. What is slow, unread or idle
 * for too long is closed, and so is what exceeds the limits, so that no client keeps others out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define HTTP_SERVER_SOCKETS_MAX 2

struct http_request {
	const char *path; /* decoded, without the query */
	const char *accept; /* the header; NULL: none */
};

struct http_reply {
	unsigned status;
	const char *type; /* of the content */
	const char *text; /* borrowed until the handler is called again */
	size_t length;
};

struct http_server_options {
	int sockets[HTTP_SERVER_SOCKETS_MAX]; /* they listen, and do not block; the server takes
						 them */
	bool is_local[HTTP_SERVER_SOCKETS_MAX]; /* a unix socket: the Host header does not matter */
	size_t socket_count;
	/* On the server's thread. */
	void (*handle)(const struct http_request *request, struct http_reply *ret_reply,
		       void *user);
	void *user;
};

struct http_server;

/* Takes the sockets, also on failure. */
int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
		      struct error *e);
/* Closes all connections; the handler is not called afterwards. */
void http_server_stop(struct http_server *s);
DEFINE_CLEANUP(struct http_server *, http_server_stop)
