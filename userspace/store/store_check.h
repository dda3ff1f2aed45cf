/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the database is whole: SQLite's own check, and rows that belong to nothing. */
#pragma once

#include "store/change_set.h"

/* Calls found(text) for each thing that SQLite's integrity check says; -EILSEQ when it cannot even
 * be run. */
int store_check_integrity(sqlite3 *db, int (*found)(const char *text, void *user), void *user,
			  struct error *e);
/* Only the pages, of which the first fault is found: many times as fast. */
int store_check_pages(sqlite3 *db, int (*found)(const char *text, void *user), void *user,
		      struct error *e);
/* Makes all indexes anew from the rows of their tables. */
int store_check_reindex(sqlite3 *db, void *unused, struct error *e);
/* Calls found(table, rows) for each table with rows whose owner is not there. */
int store_check_stray_rows(sqlite3 *db, int (*found)(const char *table, int64_t rows, void *user),
			   void *user, struct error *e);
/* Deletes these rows. */
void store_check_delete_stray_rows(struct change_set *c);
