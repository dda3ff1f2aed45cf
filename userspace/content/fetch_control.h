/* SPDX-License-Identifier: Apache-2.0 */
/* From where something is fetched, and how: what callers of blob_fetch.h say. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Where something comes from. Texts are borrowed. */
struct fetch_source {
	/* "host" or "host:port": https, but for 127.0.0.0/8, [::1] and localhost, which are asked
	 * by http. "http://" or "https://" in front says which; http is for these hosts only
	 * (-EPERM). */
	const char *registry;
	const char *repository; /* "library/name" */
	/* "user:password", or NULL: what the host's credentials file says for the registry, if
	 * there is one. Never logged. */
	const char *credentials;
};

struct fetch_control {
	const char *helper; /* path of varve-fetch */
	const char *credentials_file; /* NULL: none */
	const atomic_bool *cancelled; /* may be NULL */
	/* How long a connection may bring nothing before it is given up, and tried again; 0: 30. */
	unsigned int stall_seconds;
	void (*progress)(int64_t done_bytes, int64_t total_bytes, void *user); /* may be NULL */
	void *user;
};
