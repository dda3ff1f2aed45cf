/* SPDX-License-Identifier: Apache-2.0 */
/* One check of the store, and its findings. */
#pragma once

#include "manager/recovery/store_fsck.h"
#include "manager/state/manager_state.h"

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
