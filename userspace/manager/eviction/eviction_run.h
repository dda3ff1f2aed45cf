/* SPDX-License-Identifier: Apache-2.0 */
/* Eviction. */
#pragma once

#include "prune/prune_policy.h"
#include "manager/state/manager_state.h"

struct eviction_options {
	bool all; /* internal, frontend and shared records, too */
	const char *const *filters;
	size_t filter_count;
	int64_t keep_duration_ns; /* 0: no matter how young */
	struct prune_limits limits; /* none: everything that matches goes */
	const char *scorer; /* "" or NULL: the default */
	bool to_lazy; /* what could be made of its blob again loses its files, and stays */
	bool dry_run; /* makes a plan instead */
	/* "" or NULL, or the name of a plan: exactly that is evicted, and all of the above is
	 * ignored. -EBUSY when one of its records has changed since. */
	const char *plan;
	const atomic_bool *cancelled; /* looked at between records; may be NULL */
};

struct evicted_record {
	char id[RECORD_ID_LENGTH + 1], parent[RECORD_ID_LENGTH + 1];
	const char *description, *type;
	bool is_mutable, shared;
	bool to_lazy; /* it stays, without files; the size is theirs */
	int64_t size_bytes, created_ns, last_used_ns;
	uint64_t usage_count;
	double score;
	const char *reason; /* one sentence */
};

#define EVICTION_PLAN_NAME_SIZE 13

struct eviction_summary {
	int64_t predicted_bytes, freed_bytes, remaining_bytes;
	bool goal_reached;
	int64_t missed_bytes;
	char shortfall[256]; /* why it was not */
	char plan[EVICTION_PLAN_NAME_SIZE]; /* of a dry run */
};

int eviction_run(struct manager *m, const struct eviction_options *options,
		 int (*pruned)(const struct evicted_record *record, void *user), void *user,
		 struct eviction_summary *ret_summary, struct error *e);
