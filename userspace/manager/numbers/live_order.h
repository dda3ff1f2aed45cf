/* SPDX-License-Identifier: Apache-2.0 */
/* Which records a live view shows: filtering and ordering. Only live_view.c calls it. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record_facts.h"
#include "manager/numbers/live_query.h"

struct manager;

/* What the filter of a query lets through. */
struct live_matches {
	struct record_filter *filter;
	struct hashmap
		*ids; /* of a filter that takes too long to be used with the lock; else NULL */
	struct record_view *views; /* that have these ids */
	size_t view_count;
};

/* Without the lock. */
int live_matches_find(struct manager *m, const struct live_query *q,
		      struct live_matches *ret_matches, struct error *e);
void live_matches_free(struct live_matches *matches);
DEFINE_CLEANUP_VALUE(struct live_matches, live_matches_free)

struct live_order {
	const struct record **records; /* valid as long as the lock is held */
	size_t count, matching;
};

/* With the lock, after the records in use were marked. Keeps no more than the query asks for, so it
 * takes O(records × log(rows)) at most. -ENOMEM. */
int live_order_take(struct manager *m, const struct live_query *q,
		    const struct live_matches *matches, struct live_order *ret_order);
void live_order_free(struct live_order *order);
DEFINE_CLEANUP_VALUE(struct live_order, live_order_free)
