/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of registries, in the file that docker login writes: {"auths": {"host": {"auth": …}}}.
 * A key may go on with a path ("host/team"), which limits it to repositories below the path; of
 * several keys that match the longest one counts. Credential stores and helpers are not run.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct credentials {
	char *text; /* "user:password"; NULL: the file has none */
	char *helper; /* program that docker would ask instead, or NULL; only without a text */
};

void credentials_free(struct credentials *c); /* what it points to; wipes the password */
DEFINE_CLEANUP_VALUE(struct credentials, credentials_free)

/* For a repository of the registry ("[http[s]://]host[:port]"). -EBADMSG, -EOPNOTSUPP: the entry
 * that matches cannot be used. */
int credentials_file_find(const char *path, const char *registry, const char *repository,
			  struct credentials *ret_credentials, struct error *e);
/* The same in the text of a file. */
int credentials_find(const char *text, size_t length, const char *registry, const char *repository,
		     struct credentials *ret_credentials, struct error *e);
