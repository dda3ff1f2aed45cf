/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of mounts and of what was folded of their cells, and of the files that mounts which are gone
 * have touched. A fold writes the cells' totals and the layers' sums in one transaction: that is
 * why nothing is counted twice.
 */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

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
/* Adds to the counters of a file, by its inode number in the layer's own file system. Does nothing
 * when the layer has been deleted. */
void usage_rows_add_file(struct change_set *c, const char *layer, uint64_t inode, uint64_t opens,
			 uint64_t read_bytes, int64_t last_access_ns);

int usage_rows_load_mounts(sqlite3 *db, int (*visit)(const struct mount_row *row, void *user),
			   void *user, struct error *e);
/* In the order of mount and index. */
int usage_rows_load_layers(sqlite3 *db, int (*visit)(const struct usage_row *row, void *user),
			   void *user, struct error *e);
int usage_rows_load_watches(sqlite3 *db, int (*visit)(const struct usage_row *row, void *user),
			    void *user, struct error *e);
int usage_rows_load_files(sqlite3 *db, const char *layer,
			  int (*visit)(uint64_t inode, uint64_t opens, uint64_t read_bytes,
				       int64_t last_access_ns, void *user),
			  void *user, struct error *e);
