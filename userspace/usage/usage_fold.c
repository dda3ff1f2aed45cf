/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_fold.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define USE_EVERY_NS (3600 * NS_PER_S)

/* What makes a use; looking at names and attributes does not, and writing does not either. */
static const enum usage_counter using_counters[] = {
	USAGE_READ_OPENS, USAGE_EXECS, USAGE_READS, USAGE_MMAPS, USAGE_MAPPED_BYTES,
};

struct usage_fold_state *usage_fold_find_state(struct usage_fold_state **state)
{
	if (!*state)
		*state = calloc(1, sizeof(**state));
	return *state;
}

static bool runs_backwards(const struct usage_totals *before, const struct usage_totals *now)
{
	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++)
		if (now->counters[i] < before->counters[i])
			return true;
	return now->uses < before->uses;
}

static bool is_use(const uint64_t counters[USAGE_COUNTER_COUNT])
{
	for (size_t i = 0; i < ARRAY_SIZE(using_counters); i++)
		if (counters[using_counters[i]] > 0)
			return true;
	return false;
}

/* Counts an access at that time, unless the last use that was counted still covers it. */
static void count_use(struct usage_fold_state *state, int64_t boot_ns, struct usage_delta *delta)
{
	if (state->last_use_boot_ns > 0 && boot_ns - state->last_use_boot_ns < USE_EVERY_NS)
		return;
	state->last_use_boot_ns = boot_ns;
	delta->uses++;
}

static int64_t newer(int64_t time_ns, int64_t folded_ns)
{
	return time_ns > folded_ns ? time_ns : 0;
}

/* Cells that were made anew do not take back when they were used first and last. */
static void keep_times(struct usage_totals *folded, const struct usage_totals *totals)
{
	if (folded->first_read_boot_ns == 0)
		folded->first_read_boot_ns = totals->first_read_boot_ns;
	if (totals->last_read_boot_ns > folded->last_read_boot_ns)
		folded->last_read_boot_ns = totals->last_read_boot_ns;
	if (totals->last_write_boot_ns > folded->last_write_boot_ns)
		folded->last_write_boot_ns = totals->last_write_boot_ns;
}

void usage_fold(struct usage_fold_state *state, const struct usage_totals *totals, bool of_layer,
		struct usage_delta *ret_delta)
{
	struct usage_totals *folded = &state->folded;
	struct usage_delta delta = { 0 };
	bool renewed = runs_backwards(folded, totals);

	/* A use without any time is being written by the kernel right now: next time. */
	if (totals->last_read_boot_ns == 0 && is_use(totals->counters)) {
		*ret_delta = delta;
		return;
	}
	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++) {
		delta.counters[i] = totals->counters[i] - (renewed ? 0 : folded->counters[i]);
		folded->counters[i] = totals->counters[i];
	}
	delta.uses = totals->uses - (renewed ? 0 : folded->uses);
	folded->uses = totals->uses;
	/* Stamps are as coarse as a tick, so that an access may leave no other trace than a count.
	 */
	delta.last_read_boot_ns = is_use(delta.counters) ? totals->last_read_boot_ns
							 : newer(totals->last_read_boot_ns,
								 folded->last_read_boot_ns);
	delta.last_write_boot_ns =
		delta.counters[USAGE_WRITES] > 0
			? totals->last_write_boot_ns
			: newer(totals->last_write_boot_ns, folded->last_write_boot_ns);
	if (folded->first_read_boot_ns == 0)
		delta.first_read_boot_ns = totals->first_read_boot_ns;

	/* Only what is certain counts: after a long time without a fold there was an access at its
	 * beginning, if it was the first one, and one at its end. */
	if (!of_layer && is_use(delta.counters)) {
		if (delta.first_read_boot_ns > 0)
			count_use(state, delta.first_read_boot_ns, &delta);
		count_use(state, delta.last_read_boot_ns, &delta);
	}
	keep_times(folded, totals);
	*ret_delta = delta;
}
