/* SPDX-License-Identifier: Apache-2.0 */
/* Where callers of blob_fetch.h fetch from or upload to, and how. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* A repository of a registry. Texts are borrowed. */
struct fetch_source {
	/* "host" or "host:port", asked by https; 127.0.0.0/8, [::1] and localhost by http. A
	 * prefix "http://" or "https://" overrides this; http to other hosts is -EPERM. */
	const char *registry;
	const char *repository; /* "library/name" */
	/* "user:password"; NULL: as the credentials file says. Never logged. */
	const char *credentials;
};

struct fetch_control {
	const char *helper; /* path of varve-fetch */
	const char *credentials_file; /* NULL: none */
	const atomic_bool *cancelled; /* may be NULL */
	/* A connection without data for this long is closed and retried; 0: 30. */
	unsigned int stall_seconds;
	void (*progress)(int64_t done_bytes, int64_t total_bytes, void *user); /* may be NULL */
	void *user;
};
