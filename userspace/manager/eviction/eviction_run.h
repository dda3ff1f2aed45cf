/* SPDX-License-Identifier: Apache-2.0 */
/* Prune: evicts records, or makes a plan of what would be evicted. */
#pragma once

#include "manager/eviction/eviction_options.h"
#include "manager/state/manager_state.h"

struct evicted_record {
	char id[RECORD_ID_LENGTH + 1], parent[RECORD_ID_LENGTH + 1];
	const char *description, *type;
	bool is_mutable, shared;
	bool to_lazy; /* it stays without files; the size is that of the files */
	int64_t size_bytes, created_ns, last_used_ns;
	uint64_t usage_count;
	double score;
	const char *reason; /* one sentence */
};

struct eviction_summary {
	int64_t predicted_bytes, freed_bytes, remaining_bytes;
	bool goal_reached;
	int64_t missed_bytes;
	char shortfall[256]; /* why it was not */
	char plan[EVICTION_PLAN_NAME_SIZE]; /* of a dry run */
};

/* Calls pruned() for each record, after it was evicted or, in a dry run, in the order of the plan;
 * a negative return ends the prune and is returned. What was evicted before a failure is in the
 * summary as far as it is known. -ECANCELED, -EBUSY, -ENOENT (no such plan), -EINVAL. Takes the
 * prune lock. */
int eviction_run(struct manager *m, const struct eviction_options *options,
		 int (*pruned)(const struct evicted_record *record, void *user), void *user,
		 struct eviction_summary *ret_summary, struct error *e);
