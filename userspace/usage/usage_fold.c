/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_fold.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define USE_EVERY_NS (3600 * NS_PER_S)

/* What makes a mount a use of the layer; looking at names and attributes does not, and writing
 * without reading back does not either. */
static const enum usage_counter using_counters[] = {
	USAGE_OPENS,
	USAGE_EXECS,
	USAGE_READS,
	USAGE_MMAPS,
};

static bool runs_backwards(const struct usage_totals *before, const struct usage_totals *now)
{
	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++)
		if (now->counters[i] < before->counters[i])
			return true;
	return false;
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

void usage_fold(struct usage_fold_state *state, const struct usage_totals *totals,
		struct usage_delta *ret_delta)
{
	struct usage_totals *folded = &state->folded;
	struct usage_delta delta = { 0 };
	bool renewed = runs_backwards(folded, totals);

	/* A use without any time is being written by the kernel right now: next time. */
	if (totals->last_access_boot_ns == 0 && is_use(totals->counters)) {
		*ret_delta = delta;
		return;
	}
	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++) {
		delta.counters[i] = totals->counters[i] - (renewed ? 0 : folded->counters[i]);
		folded->counters[i] = totals->counters[i];
	}
	/* Stamps are as coarse as a tick, so that an access may leave no other trace than a count.
	 */
	if (is_use(delta.counters) || totals->last_access_boot_ns > folded->last_access_boot_ns)
		delta.last_access_boot_ns = totals->last_access_boot_ns;
	if (folded->first_access_boot_ns == 0)
		delta.first_access_boot_ns = totals->first_access_boot_ns;

	/* Only what is certain counts: after a long time without a fold there was an access at its
	 * beginning, if it was the first one, and one at its end. */
	if (is_use(delta.counters)) {
		if (delta.first_access_boot_ns > 0)
			count_use(state, delta.first_access_boot_ns, &delta);
		count_use(state, delta.last_access_boot_ns, &delta);
	}

	/* Cells that were made anew do not take back when this mount was first and last used. */
	if (folded->first_access_boot_ns == 0)
		folded->first_access_boot_ns = totals->first_access_boot_ns;
	if (totals->last_access_boot_ns > folded->last_access_boot_ns)
		folded->last_access_boot_ns = totals->last_access_boot_ns;
	*ret_delta = delta;
}
