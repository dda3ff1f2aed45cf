/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: plans which records are evicted, in which order. After each eviction the remaining
 * candidates are ranked anew, and a parent becomes a candidate when its last child is evicted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "prune/prune_record.h"
#include "prune/prune_score.h"

struct prune_step {
	size_t record; /* index */
	double score;
	/* The terms: dense ranks among the candidates of that moment, and how many ranks there
	 * were. All 0 with a scorer that does not rank. */
	size_t last_used_rank, last_used_ranks, usage_rank, usage_ranks;
	double size_term;
	/* With a scorer that plans by blocks: the records that go together with this one, and their
	 * bytes. Else 0. */
	size_t block_records;
	int64_t block_bytes;
	bool tops_chain; /* the rest of the block lies below this record */
};

struct prune_plan {
	struct prune_step *steps; /* in order of deletion */
	size_t count;
	int64_t freed_bytes; /* unshared */
	int64_t remaining_bytes; /* unshared total afterwards */
	int64_t freed_inodes; /* unshared */
};

struct prune_goal {
	int64_t keep_bytes; /* 0: everything evictable is evicted */
	int64_t free_inodes; /* so many are to be freed as well */
	const atomic_bool *cancelled; /* may be NULL */
};

/*
 * Plans until the unshared total of all records is below the goal's keep_bytes, and free_inodes are
 * freed. Nothing is evicted when that is so at the start. A record is evicted only after all
 * records that name it as their parent. Lowest score first, then older last use (never used before
 * all), older creation, smaller id. -EINVAL (a negative size, a parent that does not exist),
 * -EOVERFLOW, -ENOMEM, -ECANCELED.
 */
int prune_plan(const struct prune_record *records, size_t count, const struct prune_goal *goal,
	       const struct prune_scorer *scorer, struct prune_plan *ret_plan, struct error *e);
void prune_plan_free(struct prune_plan *plan); /* the steps, not the plan itself */
DEFINE_CLEANUP_VALUE(struct prune_plan, prune_plan_free)
