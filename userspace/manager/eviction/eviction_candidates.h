/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of all records as the planner needs them, taken at one moment. A twin pair is one
 * candidate, named by the half that is listed. */
#pragma once

#include "manager/history/history_forecast.h"
#include "manager/state/manager_state.h"
#include "prune/prune_plan.h"
#include "prune/prune_policy.h"
#include "prune/prune_rule.h"

struct eviction_candidates {
	struct prune_record *records;
	char (*ids)[RECORD_ID_LENGTH + 1];
	enum prune_keep *kept;
	uint64_t *fingerprints; /* differ when something about the record has changed */
	struct history_forecast *expected; /* of the scorer forecast; else zeros */
	size_t count;
	int64_t used_bytes; /* unshared */
	/* Of used_bytes, blobs of records that can become lazy again: no step frees them. */
	int64_t fixed_bytes;
	int64_t kept_bytes[PRUNE_KEEP_COUNT]; /* of used_bytes, by reason */
	struct prune_disk disk;
};

/* The caller has folded counters and measured the layers. `cancelled` may be NULL. *ret_candidates
 * is the caller's to free. -ENOMEM, -ECANCELED. Without the lock. */
int eviction_candidates_gather(struct manager *m, const struct prune_rule *rule,
			       const atomic_bool *cancelled,
			       struct eviction_candidates *ret_candidates, struct error *e);
void eviction_candidates_free(struct eviction_candidates *v);
DEFINE_CLEANUP_VALUE(struct eviction_candidates, eviction_candidates_free)

/* Differs when something has changed that plans depend on. With the lock. */
uint64_t eviction_candidates_fingerprint(const struct record *r);

/* Whether the record itself could be evicted: it is not held, mounted, pinned or worked on. Its
 * children are not looked at. With the lock. */
bool eviction_candidates_is_free(const struct record *r);

/* Uses and sizes of a record as a scorer wants them; with no id, not evictable. It may fall back
 * to lazy instead of being deleted. *ret_expected is set for a scorer that plans by blocks. With
 * the lock. */
void eviction_candidates_measure(struct manager *m, const struct record *r,
				 const struct prune_scorer *scorer, bool falls_back, int64_t now_ns,
				 struct history_forecast *ret_expected,
				 struct prune_record *ret_record);
