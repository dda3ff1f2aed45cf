/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which URLs varve-fetch asks: https, or http on this host. What a registry names (a redirect, a
 * place for an upload, a token server) is https too, or http at the registry's own host and port.
 * URLs that these functions return are the caller's to free.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Of "[http[s]://]host[:port]", without a slash at the end. -EPERM: http with another host. */
int registry_url_base(const char *registry, char **ret_url, struct error *e);
/* What `reference` means in an answer of `from`: absolute, or relative to it. -EPERM: a way that is
 * not allowed; -EBADMSG: no URL. */
int registry_url_follow(const char *from, const char *reference, char **ret_url, struct error *e);
/* Scheme, host and port are the same. */
bool registry_url_same_origin(const char *a, const char *b);
bool registry_url_is_loopback(const char *url);
/* With name=value behind the query that is there; both are escaped. */
int registry_url_add_query(const char *url, const char *name, const char *value, char **ret_url,
			   struct error *e);
/* "host[:port]" for messages; "?" when it is not a URL. */
const char *registry_url_host(const char *url, char *buffer, int size);
