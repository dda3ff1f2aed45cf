/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry's side of the distribution API: gets in by what it asks for (token or password), goes
 * where it points to without taking the password along, and tries again what may pass.
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
/* One exchange, with whatever redirects and tokens it takes. 0: the answer is of 2xx, or a 404, or
 * refuses the range; all others are errors. authorization and stall_seconds are set here. */
int registry_client_call(struct registry_client *c, const struct http_request *request,
			 struct http_response *ret_response, struct error *e);
/* 416; some servers say 400 to a range that they do not like. */
bool registry_client_refuses_range(const struct http_request *request, int status);
/* The error for an answer that is none of those that are good for something. */
int registry_client_refuse(const struct registry_client *c, const struct http_response *r,
			   struct error *e);

/* How often something was tried in vain. */
struct retry {
	unsigned int failures;
};

/* Whether to try again, after the pause that is due; else e says how often it was tried. */
bool registry_client_retry(struct retry *retry, const struct http_response *last, struct error *e);
