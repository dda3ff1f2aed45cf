/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by inode: what mounts that are gone have seen is in the database, what live ones see is in
 * the kernel. An inode number that the file system gives to another file carries the old counts
 * along.
 */
#pragma once

#include "manager/state/manager_state.h"

struct touched_file {
	uint64_t inode, opens, read_bytes;
	int64_t last_access_ns;
	bool found; /* in the layer */
};

/* The files of one layer that were touched, sorted by inode, each once. */
struct touched_files {
	struct touched_file *files;
	size_t count, capacity;
};

void touched_files_free(struct touched_files *t); /* what it points to */
DEFINE_CLEANUP_VALUE(struct touched_files, touched_files_free)

/* The kernel's files with the layers that they are in: mounts may go while they are read. */
struct live_file {
	char layer[LAYER_NAME_LENGTH + 1];
	struct touched_file file;
};

struct live_files {
	struct manager *m;
	struct live_file *files;
	size_t count, capacity;
};

void touched_files_free_live(struct live_files *live); /* what it points to */
DEFINE_CLEANUP_VALUE(struct live_files, touched_files_free_live)

/* What the kernel has now, sorted by layer; `files` is the caller's to free, also on failure. With
 * the fold lock, so that no mount moves its files to the database meanwhile. */
int touched_files_read_live(struct manager *m, struct live_files *live, struct error *e);

/* The layer's files, of the database and of the live ones; `files` is the caller's to free, also on
 * failure. */
int touched_files_gather(struct manager *m, const char *layer, const struct live_files *live,
			 struct touched_files *t, struct error *e);

/* For qsort(3) and bsearch(3). */
int touched_files_by_inode(const void *a, const void *b);
