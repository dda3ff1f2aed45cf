/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of what containers and units have read, by layer and reader. Each layer has rows for those
 * that read most, and one for all others, whose reader is "": nothing is dropped silently.
 */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

#define READER_ROWS_PER_LAYER 64
#define READER_ROWS_IN_ALL (INT64_C(1) << 18)

struct reader_row {
	char layer[LAYER_NAME_LENGTH + 1];
	const char *reader; /* "": others */
	bool upkeep;
	uint64_t opens, reads, read_bytes;
	uint64_t layers; /* of a sum over layers */
	int64_t first_ns, last_ns;
};

/* For qsort(3): by layer, reader and upkeep. */
int reader_rows_compare(const void *a, const void *b);
/* In a transaction: adds what is new. Those of layers that have been deleted are left out. */
int reader_rows_add(sqlite3 *db, const struct reader_row *rows, size_t count, struct error *e);
/* Deletes those that were read last before that. */
void reader_rows_expire(struct change_set *c, int64_t before_ns);
void reader_rows_forget(struct change_set *c, const char *layer);

/* Of one layer, or with NULL the sums of all of them; most bytes first. */
int reader_rows_load(sqlite3 *db, const char *layer,
		     int (*visit)(const struct reader_row *row, void *user), void *user,
		     struct error *e);
