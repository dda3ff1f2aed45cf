/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one layer that were read, by inode. An inode number that the file system gives to
 * another file carries the old counts along.
 */
#pragma once

#include "manager/state/manager_state.h"
#include "store/file_rows.h"

struct touched_file {
	uint64_t inode, opens, read_bytes, mapped_bytes;
	int64_t last_access_ns;
	bool found; /* in the layer */
};

/* Sorted by inode, each once. */
struct touched_files {
	struct touched_file *files;
	size_t count, capacity;
	struct file_rows_state state;
};

void touched_files_free(struct touched_files *t); /* what it points to */
DEFINE_CLEANUP_VALUE(struct touched_files, touched_files_free)

/* What has been folded. `files` is the caller's to free, also on failure. */
int touched_files_load(struct manager *m, const char *layer, struct touched_files *t,
		       struct error *e);
/* The number of files and what is known to be missing, without the files. */
int touched_files_load_state(struct manager *m, const char *layer,
			     struct file_rows_state *ret_state, struct error *e);
/* NULL: it was not read. */
struct touched_file *touched_files_find(const struct touched_files *t, uint64_t inode);
