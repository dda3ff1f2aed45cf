/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of registries, in the file that docker login writes: {"auths": {"host": {"auth": …}}}.
 * Credential stores and helpers are not asked.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* *ret_credentials: "user:password" for the registry ("[http[s]://]host[:port]"), NULL when the
 * file has none; the caller's to wipe and free. -EBADMSG, -EOPNOTSUPP: what is there cannot be
 * used. */
int credentials_file_find(const char *path, const char *registry, char **ret_credentials,
			  struct error *e);
/* The same in the file's text. */
int credentials_find(const char *text, size_t length, const char *registry, char **ret_credentials,
		     struct error *e);
