/* SPDX-License-Identifier: Apache-2.0 */
/* The store as the planner sees it at one moment: twins are one, by the half that is listed. */
#pragma once

#include "manager/state/manager_state.h"
#include "prune/prune_plan.h"
#include "prune/prune_policy.h"
#include "prune/prune_rule.h"

struct eviction_candidates {
	struct prune_record *records;
	char (*ids)[RECORD_ID_LENGTH + 1];
	enum prune_keep *kept;
	uint64_t *fingerprints; /* differ when something about the record has changed */
	size_t count;
	int64_t used_bytes; /* unshared */
	int64_t fixed_bytes; /* of these, blobs of what falls back to lazy: no step frees them */
	int64_t kept_bytes[PRUNE_KEEP_COUNT]; /* of these, by reason */
	struct prune_disk disk;
};

/* After a fold and a measuring; takes the lock. `cancelled` may be NULL. -ENOMEM, -ECANCELED. */
int eviction_candidates_gather(struct manager *m, const struct prune_rule *rule,
			       const atomic_bool *cancelled, struct eviction_candidates *ret_view,
			       struct error *e);
void eviction_candidates_free(struct eviction_candidates *v); /* what it points to */
DEFINE_CLEANUP_VALUE(struct eviction_candidates, eviction_candidates_free)

/* What fingerprints are made of; with the lock. */
uint64_t eviction_candidates_fingerprint(const struct record *r);

/* With the lock: nothing holds it, is in it, pins it or works on it; its children aside. */
bool eviction_candidates_is_free(const struct record *r);

/* The file system of the store; zeros where it cannot be asked. */
struct prune_disk eviction_candidates_disk(const struct manager *m);
