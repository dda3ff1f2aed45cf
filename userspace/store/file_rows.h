/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the files that were read, by layer and inode, and what is known to be missing of each
 * layer. Both tables are bounded: what finds no room is noted as lost.
 */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"
#include "store/reader_rows.h"

#define FILE_ROWS_PER_LAYER (INT64_C(1) << 20)
#define FILE_ROWS_IN_ALL (INT64_C(1) << 23)

/* What is new of one file, by its inode number in the layer's own file system; with inode 0, what
 * was lost of the layer. */
struct file_row {
	char layer[LAYER_NAME_LENGTH + 1];
	uint64_t inode, opens, read_bytes, mapped_bytes;
	uint64_t lost; /* accesses of files that are not known */
	int64_t last_access_ns;
};

struct file_rows {
	const struct file_row *rows; /* sorted by file_rows_compare() */
	size_t count;
	const struct reader_row *readers; /* sorted by reader_rows_compare() */
	size_t reader_count;
	int64_t now_ns;
	const char *progress; /* kept with them, for file_rows_find_progress() */
};

/* For qsort(3): by layer and inode. */
int file_rows_compare(const void *a, const void *b);
/* Adds them in one transaction, with the progress. Those of layers that have been deleted are left
 * out. */
int file_rows_write(struct database *d, struct file_rows *rows, struct error *e);
/* The progress of the last write, for the caller to free; NULL: there was none. */
int file_rows_find_progress(sqlite3 *db, char **ret_progress, struct error *e);
/* From now on the layer may have been read by mounts that were not counted. */
void file_rows_mark_incomplete(struct change_set *c, const char *layer, int64_t now_ns);

struct file_rows_state {
	uint64_t files; /* that have a row */
	uint64_t lost;
	int64_t complete_since_ns; /* when the last access was lost; 0: none ever was */
};

int file_rows_load_state(sqlite3 *db, const char *layer, struct file_rows_state *ret_state,
			 struct error *e);
int file_rows_load(sqlite3 *db, const char *layer,
		   int (*visit)(const struct file_row *row, void *user), void *user,
		   struct error *e);
