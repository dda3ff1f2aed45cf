/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records or layers that a live view shows: the first ones by some order, or those that it
 * showed before. Ordering looks at every record with the lock, in memory only; showing the same
 * ones again costs as much as the answer is long. Folds the counters first, but spends a small
 * share of the time with that, so the counters of a store with many mounts may be older than the
 * call.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record.h"
#include "manager/numbers/live_query.h"
#include "manager/state/recent_reads.h"

struct manager;

struct live_row {
	char id[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1], below[LAYER_NAME_LENGTH + 1]; /* of its parent, or "" */
	char *description, *type, *reader; /* the last container or unit that read it, or NULL */
	const char *snapshot_kind; /* static; "" */
	bool is_mutable, lazy, in_use, pinned, shared, mounted, uncounted;
	uint64_t records; /* that have the layer */
	uint64_t uses, files_touched;
	int64_t size_bytes; /* -1: not known */
	int64_t inodes; /* of the layer when it was measured; -1: it was not */
	int64_t created_ns;
	struct layer_access access;
	struct recent_read recent;
};

struct live_view {
	struct live_row *rows;
	size_t count;
	size_t matching; /* of an order: all that match, shown or not */
	struct recent_read all; /* of the whole store */
	int64_t counted_ns; /* when the counters were folded last */
	int64_t order_cost_ns; /* processor time that ordering took; 0: nothing was ordered */
};

/* Ids that are gone are left out. */
int live_view_take(struct manager *m, const struct live_query *q, struct live_view *ret_view,
		   struct error *e);
void live_view_free(struct live_view *v);
DEFINE_CLEANUP_VALUE(struct live_view, live_view_free)
/* Of the file system with the store; zeros when it cannot be asked. */
void live_view_disk(struct manager *m, int64_t *ret_total, int64_t *ret_free);
/* Processor time of the calling thread. */
int64_t live_view_processor_ns(void);
/* By its name; -EINVAL. */
int live_view_sort_by_name(const char *name, enum live_sort *ret_sort, struct error *e);
