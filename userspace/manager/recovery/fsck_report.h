/* SPDX-License-Identifier: Apache-2.0 */
/* One check of the store, and its findings. */
#pragma once

#include "manager/state/manager_state.h"

struct store_finding {
	const char *kind; /* "missing-layer", "orphan-layer", "wrong-size", …: never changes */
	const char *what; /* the record's id, or a path in the store */
	char detail[400]; /* a sentence */
	bool repaired;
};

struct store_fsck_options {
	bool repair;
	const atomic_bool *cancelled; /* may be NULL */
	int (*found)(const struct store_finding *finding, void *user); /* < 0 ends it */
	void *user;
};

struct store_fsck_summary {
	uint64_t records; /* looked at */
	uint64_t found, repaired;
};

#define FSCK_PATH_SIZE 300 /* of a path within the store */

struct fsck {
	struct manager *m;
	const struct store_fsck_options *o;
	struct store_fsck_summary summary;
};

/* Counts a finding and passes it on; `format`: a sentence. Returns what the caller's function
 * returns: a negative code ends the check. */
int fsck_report(struct fsck *c, const char *kind, const char *what, bool repaired,
		const char *format, ...) __attribute__((format(printf, 5, 6)));
bool fsck_is_cancelled(const struct fsck *c);
