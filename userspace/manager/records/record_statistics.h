/* SPDX-License-Identifier: Apache-2.0 */
/* What was accessed, by record and by mount. */
#pragma once

#include "manager/state/manager_state.h"

/* What the kernel counted, after a fold. */
struct record_statistics_view {
	char id[RECORD_ID_LENGTH + 1];
	char *description;
	struct layer_access access;
	bool uncounted; /* as in a record's view */
	int64_t size_bytes; /* -1: not known */
	uint64_t files_touched;
	int64_t complete_since_ns; /* when an access of its files was lost; 0: never */
	uint64_t mount_id; /* 0 unless asked for by mount */
	uint32_t layer_index;
	char *mountpoint;
	char *snapshot_key; /* as in a record's view */
	const char *snapshot_kind;
};

/* Of the records that the ids name, else of all that are listed. `cancelled` may be NULL. */
int record_statistics(struct manager *m, const char *const *ids, size_t id_count, bool by_mount,
		      const atomic_bool *cancelled, struct record_statistics_view **ret_stats,
		      size_t *ret_count, struct error *e);
void record_statistics_free(struct record_statistics_view *stats, size_t count);
