/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the distribution API: authenticates as the registry asks (token or password), follows
 * redirects without taking the password along, and retries temporary failures.
 */
#pragma once

#include "content/fetch_protocol.h"
#include "fetch/http_exchange.h"

struct registry_client {
	const struct fetch_request *request; /* borrowed */
	struct http_client *http;
	char *base; /* "https://host" */
	char *authorization; /* of the base's origin; NULL: not asked for yet */
};

int registry_client_init(struct registry_client *c, const struct fetch_request *request,
			 struct error *e);
void registry_client_free(struct registry_client *c); /* what it points to */
static inline void cleanup_registry_client_free(struct registry_client *c)
{
	registry_client_free(c);
}

/* "BASE/v2/REPOSITORY/" and the rest. */
int registry_client_url(const struct registry_client *c, char **ret_url, struct error *e,
			const char *format, ...) __attribute__((format(printf, 4, 5)));
/* One exchange, including redirects and tokens. 0: the answer is 2xx, 404, or refuses the range;
 * others are errors. Sets authorization and stall_seconds. */
int registry_client_call(struct registry_client *c, const struct http_request *request,
			 struct http_response *ret_response, struct error *e);
/* 416; some servers answer 400 instead. */
bool registry_client_refuses_range(const struct http_request *request, int status);
/* The error for an answer that the caller cannot use. */
int registry_client_refuse(const struct registry_client *c, const struct http_response *r,
			   struct error *e);

/* Failures in a row. */
struct retry {
	unsigned int failures;
};

/* Waits for the pause that is due and returns true to retry; otherwise adds the number of tries to
 * e. */
bool registry_client_retry(struct retry *retry, const struct http_response *last, struct error *e);
