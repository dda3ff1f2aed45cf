/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the clock has been set back behind what the records remember. */
#include "manager/recovery/clock_check.h"

#include "base/cancellation.h"
#include "base/clock.h"
#include "manager/state/manager_state.h"

/* Corrections of a clock that mean nothing. */
#define CLOCK_SLACK_NS (60 * NS_PER_S)

int64_t clock_check_lag(struct manager *m, const atomic_bool *cancelled)
{
	int64_t now = clock_wall_ns(), newest = 0;
	const struct record *r;
	size_t at = 0;

	manager_assert_unlocked(m);
	manager_lock(m);
	while (!is_cancelled(cancelled) && (r = record_graph_next(m->graph, &at))) {
		int64_t used_ns = record_last_used_ns(r);

		newest = r->created_ns > newest ? r->created_ns : newest;
		newest = used_ns > newest ? used_ns : newest;
	}
	manager_unlock(m);
	return newest > now + CLOCK_SLACK_NS ? newest - now : 0;
}
