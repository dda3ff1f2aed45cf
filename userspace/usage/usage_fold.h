/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: turns the running totals of one cell into what is new since the last fold, and says how
 * many uses that makes. A use of a layer is an overlay through which at least one of its files was
 * opened for reading, executed, mapped or read; it counts once, and again for each further hour.
 * For a mount it is found out here, for a layer's own cells the kernel counts it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "usage/usage_reader.h"

/* What is remembered of a (mount, layer) from one fold to the next; zero for a new mount. */
struct usage_fold_state {
	struct usage_totals folded; /* totals up to and including the last fold */
	int64_t last_use_boot_ns; /* when a use was counted last; 0 for never */
};

/* A state that is made when it is first needed; NULL: no memory. The caller frees it. */
struct usage_fold_state *usage_fold_find_state(struct usage_fold_state **state);

struct usage_delta {
	uint64_t counters[USAGE_COUNTER_COUNT];
	uint64_t uses;
	int64_t first_read_boot_ns; /* 0 unless this was the first read in this cell */
	int64_t last_read_boot_ns; /* 0 when nothing was read since the last fold */
	int64_t last_write_boot_ns; /* likewise */
};

/* Totals that run backwards (cells that were lost and made anew) start from zero again. */
void usage_fold(struct usage_fold_state *state, const struct usage_totals *totals, bool of_layer,
		struct usage_delta *ret_delta);
