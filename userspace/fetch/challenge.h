/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses how a registry wants to authenticate: WWW-Authenticate headers (RFC 9110, 11.6.1; the
 * token specification of the distribution API), answers of token servers, and errors. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct challenge {
	bool basic;
	char *realm; /* Bearer: NULL for no such challenge */
	char *service;
	char *scope; /* separated by spaces where there are several; NULL, as the others: not said
		      */
};

/* Adds the challenges of one header. The first of each scheme counts; unknown ones are skipped.
 * -ENOMEM. */
int challenge_add(struct challenge *c, const char *header);
void challenge_free(struct challenge *c); /* what it points to */
static inline void cleanup_challenge_free(struct challenge *c)
{
	challenge_free(c);
}

/* *ret_token has only printable characters and is the caller's to free. -EBADMSG. */
int challenge_read_token(const char *json, size_t length, char **ret_token, struct error *e);
/* "name unknown" of {"errors":[{"code":…,"message":…}]}; "" for other documents. */
const char *challenge_read_problem(const char *json, size_t length, char *buffer, size_t size);
/* "Basic …" of "user:password"; NULL: out of memory. */
char *challenge_basic(const char *credentials);
