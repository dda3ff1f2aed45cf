/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of mounts and of what was folded of their cells. A fold writes the cells' totals and the
 * layers' sums in one transaction: that is why nothing is counted twice.
 */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

/* Added to the index of a cell of what upkeep read. */
#define USAGE_ROW_UPKEEP 65536

/* One cell: running totals up to the last fold, and when a use was counted last. */
struct usage_row {
	int64_t mount_id, index; /* or the owner of a layer's own cells */
	char layer[LAYER_NAME_LENGTH + 1];
	uint64_t counters[LAYER_COUNTERS];
	uint64_t uses;
	int64_t first_read_boot_ns, last_read_boot_ns, last_write_boot_ns, last_use_boot_ns;
};

struct mount_row {
	int64_t id;
	const char *record;
	const char *boot; /* the kernel's boot id: mounts of another boot are gone */
	const char *layers; /* their names by index */
	const char *uid_map, *gid_map; /* how it shows owners; NULL or "": as they are */
	bool writable;
};

void usage_rows_insert_mount(struct change_set *c, const struct mount_row *row);
void usage_rows_set_layer(struct change_set *c, const struct usage_row *row);
/* The same for a layer's own cells, whose rows go with the layer's. */
void usage_rows_set_watch(struct change_set *c, const struct usage_row *row);
void usage_rows_delete_watch(struct change_set *c, int64_t owner);
void usage_rows_delete_mount(struct change_set *c, int64_t mount_id);
int usage_rows_load_mounts(sqlite3 *db, int (*visit)(const struct mount_row *row, void *user),
			   void *user, struct error *e);
/* In the order of mount and index. */
int usage_rows_load_layers(sqlite3 *db, int (*visit)(const struct usage_row *row, void *user),
			   void *user, struct error *e);
int usage_rows_load_watches(sqlite3 *db, int (*visit)(const struct usage_row *row, void *user),
			    void *user, struct error *e);
