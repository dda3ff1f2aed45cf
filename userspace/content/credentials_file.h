/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads passwords of registries from the file that docker login writes:
 * {"auths": {"host": {"auth": …}}}. A key may have a path ("host/team"), which limits it to
 * repositories below the path; of several matching keys the longest counts. Credential stores and
 * helpers are not run.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct credentials {
	char *text; /* "user:password"; NULL: the file has none */
	char *helper; /* without a text: the program that docker would run instead, or NULL */
};

void credentials_free(struct credentials *c); /* what it points to; wipes the password */
DEFINE_CLEANUP_VALUE(struct credentials, credentials_free)

/* For a repository of the registry ("[http[s]://]host[:port]"). -EBADMSG, -EOPNOTSUPP: the entry
 * that matches cannot be used. */
int credentials_file_find(const char *path, const char *registry, const char *repository,
			  struct credentials *ret_credentials, struct error *e);
/* Like credentials_file_find(), for the contents of the file. */
int credentials_find(const char *text, size_t length, const char *registry, const char *repository,
		     struct credentials *ret_credentials, struct error *e);
