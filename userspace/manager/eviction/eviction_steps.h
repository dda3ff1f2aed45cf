/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a plan, with fingerprints that tell whether a record has changed since. */
#pragma once

#include "manager/eviction/eviction_candidates.h"
#include "manager/eviction/eviction_options.h"
#include "prune/prune_plan.h"
#include "store/history_rows.h"

struct eviction_planned {
	char id[RECORD_ID_LENGTH + 1];
	uint64_t fingerprint;
	struct prune_step step;
	struct prune_record record; /* its `id` is NULL */
	struct history_forecast expected; /* of the scorer forecast */
};

struct eviction_steps {
	struct eviction_planned *items;
	size_t count;
	int64_t freed_bytes, remaining_bytes, freed_inodes;
	char by[HISTORY_BY_SIZE]; /* "POLICY/SCORER" for the history; "prune" for no policy */
};

void eviction_steps_free(struct eviction_steps *s); /* what it points to */
DEFINE_CLEANUP_VALUE(struct eviction_steps, eviction_steps_free)

/* What the options mean for each record. The caller frees the filter, also on failure; it may be
 * NULL. -EINVAL. */
int eviction_steps_rule(const struct eviction_options *o, struct record_filter **ret_filter,
			struct prune_rule *ret_rule, struct error *e);

/* What the options would evict now, and what they want of the store. The caller has measured
 * the layers, frees both results, also on failure, and does not hold the lock. */
int eviction_steps_plan(struct manager *m, const struct eviction_options *o,
			struct eviction_candidates *ret_candidates,
			struct eviction_steps *ret_steps, struct prune_goal *ret_goal,
			struct error *e);

#define EVICTION_STEPS_TEXT 400
/* Writes "last used 3 days ago (rank 1 of 6), 2 uses (rank 1 of 2)", or what the scorer forecast
 * expects. */
void eviction_steps_explain(const struct eviction_planned *planned, char text[EVICTION_STEPS_TEXT]);
