/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of records for listings, and the facts that filters can ask about. */
#pragma once

#include "graph/record_facts.h"
#include "manager/history/history_forecast.h"
#include "manager/records/leases.h"

/* A copy of a record as it was at one moment; `record`'s own pointers to other records, holds, the
 * mount and the snapshot are NULL, its texts and its map of ids are the view's. */
struct record_view {
	struct record record;
	struct layer layer; /* without its counts, which are in `access` */
	struct layer_access access;
	char parent[RECORD_ID_LENGTH + 1], twin[RECORD_ID_LENGTH + 1]; /* "" for none */
	bool in_use;
	char *snapshot_key; /* NULL: containerd does not know it */
	const char *snapshot_kind; /* "view", "active" or "committed"; static */
	bool uncounted; /* its accesses are not: record_is_uncounted() */
	bool size_known; /* else size_bytes is -1, and the sizes of `layer` are old */
	bool images_share; /* more than one image has it */
	/* The layer's and the blob's; of a lazy one its blob's, which in a disk usage of all
	 * records is 0 when it is elsewhere; -1: not known. */
	int64_t size_bytes;
	struct history_forecast expected; /* in a disk usage; else zeros */
	bool blob_here;
	char *mountpoint; /* NULL: not mounted */
	bool mounted_read_only;
	struct id_map mount_id_map;
	char **children;
	size_t child_count;
	struct hold_view *holds;
	size_t hold_count;
};

struct record_query {
	const char *const *ids; /* none: every record */
	size_t id_count;
	const char *const *filters;
	size_t filter_count;
	bool disk_usage; /* one of each pair of twins; stale sizes are measured */
	int64_t unused_for_ns; /* not what was used in this last while; 0: no matter when */
	const atomic_bool *cancelled; /* may be NULL */
};

/* In the order of the ids, else by creation. */
int record_list(struct manager *m, const struct record_query *query, struct record_view **ret_views,
		size_t *ret_count, struct error *e);
void record_list_free(struct record_view *views, size_t count);

/* Which size of a record is meant. */
enum record_size {
	RECORD_SIZE_KNOWN, /* not known when it may have changed; of a lazy record its blob's */
	RECORD_SIZE_MEASURED, /* the same, and sizes have just been measured */
	RECORD_SIZE_ON_DISK, /* the same, but of a lazy record what of its blob is here */
};

/* With the lock. */
struct record_facts record_list_facts(const struct manager *m, const struct record *r,
				      enum record_size size);
