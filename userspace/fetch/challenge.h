/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry says about how to get in: WWW-Authenticate headers (RFC 9110, 11.6.1; the
 * distribution API's token specification), answers of token servers, and errors. Pure.
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

/* Adds what one header has to what others had. What it does not understand it passes over; the
 * first of each scheme counts. -ENOMEM. */
int challenge_add(struct challenge *c, const char *header);
void challenge_free(struct challenge *c); /* what it points to */
static inline void cleanup_challenge_free(struct challenge *c)
{
	challenge_free(c);
}

/* *ret_token: fit for a header; the caller's to free. -EBADMSG. */
int challenge_read_token(const char *json, size_t length, char **ret_token, struct error *e);
/* "name unknown" of {"errors":[{"code":…,"message":…}]}; "" when that is not what it is. */
const char *challenge_read_problem(const char *json, size_t length, char *buffer, size_t size);
/* "Basic …" of "user:password"; NULL: out of memory. */
char *challenge_basic(const char *credentials);
