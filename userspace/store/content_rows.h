/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the contents of records, by digest. record_rows_delete() deletes them, too. */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

/* Replaces the record's content. */
void content_rows_set(struct change_set *c, const char *record,
		      const struct record_content *content);

/* `content` and its texts live until the next row. */
int content_rows_load(sqlite3 *db,
		      int (*visit)(const char *record, const struct record_content *content,
				   void *user),
		      void *user, struct error *e);
/* The digests of blobs that records need, some more than once: layers, and configs of images.
 * lazy_only: of layers only those that have no files yet. */
int content_rows_load_needed(sqlite3 *db, bool lazy_only,
			     int (*visit)(const char *digest, void *user), void *user,
			     struct error *e);
