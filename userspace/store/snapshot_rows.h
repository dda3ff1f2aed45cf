/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of snapshots: what containerd knows of a record. A record has one or none. */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

/* The snapshot's row as it is now, instead of the one that its record had; its key is free. */
void snapshot_rows_set(struct change_set *c, const struct snapshot *s);
void snapshot_rows_set_updated(struct change_set *c, const char *record, int64_t updated_ns);
void snapshot_rows_delete(struct change_set *c, const char *record);

struct snapshot_row {
	const char *record, *key;
	int64_t kind, created_ns, updated_ns, size_bytes, inodes;
};

int snapshot_rows_load(sqlite3 *db, int (*visit)(const struct snapshot_row *row, void *user),
		       void *user, struct error *e);
