/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of records, labels and image references. The writing half adds to a change set; the
 * loading half fills a graph when the store is opened. */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

/* The row with its labels and image references, in the given state. */
void record_rows_insert(struct change_set *c, const struct record *r, enum record_state state);
void record_rows_set_state(struct change_set *c, const char *id, enum record_state state);
void record_rows_set_twin(struct change_set *c, const char *id, const char *twin); /* NULL: none */
/* The record becomes immutable and gets the description. */
void record_rows_set_committed(struct change_set *c, const char *id, const char *description);
void record_rows_set_type(struct change_set *c, const char *id, const char *type);
void record_rows_set_pinned(struct change_set *c, const char *id, bool pinned);
void record_rows_add_labels(struct change_set *c, const char *id, const struct record_label *labels,
			    size_t count);
/* Replaces the value of the key. */
void record_rows_set_label(struct change_set *c, const char *id, const char *key,
			   const char *value);
void record_rows_delete_labels(struct change_set *c, const char *id);
void record_rows_set_uses(struct change_set *c, const struct record *r);
void record_rows_add_image_ref(struct change_set *c, const char *id, const char *ref);
/* With labels, image references, content and holds. */
void record_rows_delete(struct change_set *c, const char *id);

/* A record as its row has it; texts live until the next row. */
struct record_row {
	const char *id, *parent, *layer, *twin, *description, *type; /* "" for none */
	const char *uid_map, *gid_map;
	int64_t is_mutable, state, retain, pinned, created_ns;
	int64_t hits, last_hit_ns, ref_uses, last_ref_use_ns;
};

int record_rows_load(sqlite3 *db, int (*visit)(const struct record_row *row, void *user),
		     void *user, struct error *e);
int record_rows_load_labels(sqlite3 *db,
			    int (*visit)(const char *id, const char *key, const char *value,
					 void *user),
			    void *user, struct error *e);
int record_rows_load_image_refs(sqlite3 *db,
				int (*visit)(const char *id, const char *ref, void *user),
				void *user, struct error *e);
