/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request and its answer, by libcurl. Follows no redirect, retries nothing, and limits all
 * that a server may send. Connections are kept for the next exchange.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "fetch/challenge.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT };

struct http_response {
	int status; /* 0: none came */
	bool lost; /* the answer was cut off, but a retry may succeed */
	int64_t content_bytes; /* Content-Length; -1: not said */
	int64_t retry_after_s; /* 0: not said */
	char *location, *media_type, *digest, *content_range; /* NULL: not said */
	struct challenge challenge;
	struct strbuf body; /* what take() does not get, up to a limit */
};

struct http_request {
	enum http_method method;
	const char *url;
	/* NULL: none. */
	const char *accept, *authorization, *content_type, *range;
	int body_fd; /* PUT; read from its start */
	int64_t body_bytes;
	unsigned int stall_seconds;
	/* Called with the body of a 2xx answer; a negative return ends the exchange. NULL: the body
	 * is kept in the response. */
	int (*take)(const struct http_response *r, const void *bytes, size_t length, void *user,
		    struct error *e);
	/* Called with how much of the body was sent; a negative return ends the exchange. */
	int (*tick)(int64_t sent_bytes, void *user);
	void *user;
};

struct http_client;

struct http_client *http_client_new(void); /* NULL: out of memory */
void http_client_free(struct http_client *c);
DEFINE_CLEANUP(struct http_client *, http_client_free)

/* 0 for any complete answer. On failure *ret_response holds what was received. */
int http_exchange(struct http_client *c, const struct http_request *request,
		  struct http_response *ret_response, struct error *e);
void http_response_free(struct http_response *r); /* what it points to */
static inline void cleanup_http_response_free(struct http_response *r)
{
	http_response_free(r);
}
