/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of layers: measured when asked for, and only of those that an upper change has made stale.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Whether clients write to the record's layer without the agent's knowledge: an active snapshot
 * that they mount themselves, or unpack into without a mount. */
static inline bool layer_sizes_is_open(const struct record *r)
{
	return r->snapshot && r->snapshot->kind == SNAPSHOT_ACTIVE && !r->mount;
}

/* With the lock: whether the record's layer was measured after its last change, as far as the agent
 * can tell. */
bool layer_sizes_is_known(const struct manager *m, const struct record *r);

/* Measures every layer whose size is not known, in parallel. Without the lock. */
int layer_sizes_measure(struct manager *m, const atomic_bool *cancelled, struct error *e);
