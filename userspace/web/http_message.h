/* SPDX-License-Identifier: Apache-2.0 */
/* A request, the reply to it, and what makes one of the other. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define HTTP_MESSAGE_PARAMETERS_MAX 16 /* of a request; more are ignored */

struct http_parameter {
	const char *name, *value; /* decoded */
};

struct http_request {
	size_t socket; /* by its place in the options */
	const char *path; /* decoded, without the query */
	const char *accept; /* the header; NULL: none */
	struct http_parameter parameters[HTTP_MESSAGE_PARAMETERS_MAX];
	size_t parameter_count;
	const atomic_bool *cancelled; /* for slow ones: it has taken too long; else NULL */
};

struct http_reply {
	unsigned status;
	const char *type; /* of the content */
	const char *text;
	size_t length;
	char *owned; /* freed when it was sent; NULL: `text` is borrowed until the next request */
	bool is_page; /* HTML, with a policy for what it may load: only from here, and no frames */
};

struct http_handler {
	void (*handle)(const struct http_request *request, struct http_reply *ret_reply,
		       void *user);
	/* Whether a request on a slow socket may take seconds, so that others must not wait for it.
	 * NULL: none does. */
	bool (*takes_long)(const struct http_request *request);
	void *user;
};

/* NULL: the request has no such parameter. */
const char *http_message_parameter(const struct http_request *request, const char *name);
