/* SPDX-License-Identifier: Apache-2.0 */
/* The store as the planner sees it at one moment: twins are one, by the half that is listed. */
#pragma once

#include "graph/record_filter.h"
#include "manager/manager_state.h"
#include "prune/prune_plan.h"
#include "prune/prune_policy.h"

/* Why a record stays, whatever the limit; the first that applies. */
enum prune_keep {
	PRUNE_KEEP_NOT,
	PRUNE_KEEP_HELD,
	PRUNE_KEEP_MOUNTED,
	PRUNE_KEEP_PINNED,
	PRUNE_KEEP_SHARED,
	PRUNE_KEEP_TYPE,
	PRUNE_KEEP_YOUNG,
	PRUNE_KEEP_FILTERED,
	PRUNE_KEEP_BUSY,
	PRUNE_KEEP_COUNT,
};

struct prune_view {
	struct prune_record *records;
	char (*ids)[RECORD_ID_LENGTH + 1];
	enum prune_keep *kept;
	uint64_t *stamps; /* differ when something about the record has changed */
	size_t count;
	int64_t used_bytes; /* unshared */
	int64_t kept_bytes[PRUNE_KEEP_COUNT]; /* of these, by reason */
	struct prune_disk disk;
};

/* What may go, of which records, and how they are ranked. */
struct prune_rule {
	bool all;
	int64_t keep_duration_ns;
	const struct record_filter *filter; /* NULL: everything matches */
	const struct prune_scorer *scorer;
};

/* After a fold and a measuring; takes the lock. -ENOMEM. */
int prune_view_gather(struct manager *m, const struct prune_rule *rule, struct prune_view *ret_view,
		      struct error *e);
void prune_view_free(struct prune_view *v); /* what it points to */
static inline void cleanup_prune_view_free(struct prune_view *v)
{
	prune_view_free(v);
}

/* What stamps are made of; with the lock. */
uint64_t prune_view_stamp(const struct record *r);
/* With the lock: nothing holds it, is in it, pins it or works on it; its children aside. */
bool prune_view_is_free(const struct record *r);
/* "held by a lease", as in "3 GiB held by a lease". */
const char *prune_view_reason(enum prune_keep keep);
/* The file system of the store; zeros where it cannot be asked. */
struct prune_disk prune_view_disk(const struct manager *m);
