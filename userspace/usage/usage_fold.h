/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: turns the running totals of one (mount, layer) into what is new since the last fold, and
 * says how many uses that makes. A use of a layer is a mount in which at least one of its files
 * was opened, executed, mapped or read; it counts once, and again for each further hour of access.
 */
#pragma once

#include <stdint.h>

#include "usage/usage_reader.h"

/* What is remembered of a (mount, layer) from one fold to the next; zero for a new mount. */
struct usage_fold_state {
	struct usage_totals folded; /* totals up to and including the last fold */
	int64_t last_use_boot_ns; /* when a use was counted last; 0 for never */
};

struct usage_delta {
	uint64_t counters[USAGE_COUNTER_COUNT];
	uint64_t uses;
	int64_t first_access_boot_ns; /* 0 unless this was the first access of the mount's layer */
	int64_t last_access_boot_ns; /* 0 when nothing was accessed since the last fold */
};

/* Totals that run backwards (cells that were lost and made anew) start from zero again. */
void usage_fold(struct usage_fold_state *state, const struct usage_totals *totals,
		struct usage_delta *ret_delta);
