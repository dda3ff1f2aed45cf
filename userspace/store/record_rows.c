/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_rows.h"

#include <stdio.h>
#include <string.h>

#include "store/statement.h"

void record_rows_insert(struct change_set *c, const struct record *r, enum record_state state)
{
	change_set_add(c,
		       "INSERT INTO records(id, parent, layer, twin, mutable, state, retain,"
		       " pinned, description, type, created, uid_map, gid_map)"
		       " VALUES(:id, :parent, :layer, :twin, :mutable, :state, :retain,"
		       " :pinned, :description, :type, :created, :uid_map, :gid_map)",
		       "ttttiiiittitt", r->id, r->parent ? r->parent->id : NULL, r->layer->name,
		       r->twin ? r->twin->id : NULL, (int64_t)r->is_mutable, (int64_t)state,
		       (int64_t)r->retain, (int64_t)r->pinned, r->description, r->type,
		       r->created_ns, r->id_map.uids, r->id_map.gids);
	record_rows_add_labels(c, r->id, r->labels, r->label_count);
	for (size_t i = 0; i < r->image_ref_count; i++)
		record_rows_add_image_ref(c, r->id, r->image_refs[i]);
}

void record_rows_set_state(struct change_set *c, const char *id, enum record_state state)
{
	change_set_add(c, "UPDATE records SET state = :state WHERE id = :id", "it", (int64_t)state,
		       id);
}

void record_rows_set_twin(struct change_set *c, const char *id, const char *twin)
{
	change_set_add(c, "UPDATE records SET twin = :twin WHERE id = :id", "tt", twin, id);
}

void record_rows_set_committed(struct change_set *c, const char *id, const char *description)
{
	change_set_add(c,
		       "UPDATE records SET mutable = 0, description = :description WHERE id = :id",
		       "tt", description, id);
}

void record_rows_set_retain(struct change_set *c, const char *id, bool retain)
{
	change_set_add(c, "UPDATE records SET retain = :retain WHERE id = :id", "it",
		       (int64_t)retain, id);
}

void record_rows_set_pinned(struct change_set *c, const char *id, bool pinned)
{
	change_set_add(c, "UPDATE records SET pinned = :pinned WHERE id = :id", "it",
		       (int64_t)pinned, id);
}

void record_rows_add_labels(struct change_set *c, const char *id, const struct record_label *labels,
			    size_t count)
{
	for (size_t i = 0; i < count; i++)
		change_set_add(
			c, "INSERT INTO labels(record, key, value) VALUES(:record, :key, :value)",
			"ttt", id, labels[i].key, labels[i].value);
}

void record_rows_set_label(struct change_set *c, const char *id, const char *key, const char *value)
{
	change_set_add(c,
		       "INSERT OR REPLACE INTO labels(record, key, value)"
		       " VALUES(:record, :key, :value)",
		       "ttt", id, key, value);
}

void record_rows_delete_labels(struct change_set *c, const char *id)
{
	change_set_add(c, "DELETE FROM labels WHERE record = :id", "t", id);
}

void record_rows_set_uses(struct change_set *c, const struct record *r)
{
	change_set_add(c,
		       "UPDATE records SET hits = :hits, last_hit = :last_hit,"
		       " ref_uses = :ref_uses, last_ref_use = :last_ref_use WHERE id = :id",
		       "iiiit", (int64_t)r->hits, r->last_hit_ns, (int64_t)r->ref_uses,
		       r->last_ref_use_ns, r->id);
}

void record_rows_add_image_ref(struct change_set *c, const char *id, const char *ref)
{
	change_set_add(c, "INSERT OR IGNORE INTO image_refs(record, ref) VALUES(:record, :ref)",
		       "tt", id, ref);
}

void record_rows_delete(struct change_set *c, const char *id)
{
	record_rows_delete_labels(c, id);
	change_set_add(c, "DELETE FROM image_refs WHERE record = :id", "t", id);
	change_set_add(c, "DELETE FROM contents WHERE record = :id", "t", id);
	change_set_add(c, "DELETE FROM holds WHERE record = :id", "t", id);
	change_set_add(c, "DELETE FROM snapshots WHERE record = :id", "t", id);
	change_set_add(c, "DELETE FROM records WHERE id = :id", "t", id);
}

void layer_rows_insert(struct change_set *c, const char *name)
{
	change_set_add(c,
		       "INSERT INTO layers(name, allocated, apparent, inodes)"
		       " VALUES(:name, 0, 0, 0)",
		       "t", name);
}

void layer_rows_set_size(struct change_set *c, const char *name, int64_t allocated_bytes,
			 int64_t apparent_bytes, int64_t inodes)
{
	change_set_add(c,
		       "UPDATE layers SET allocated = :allocated, apparent = :apparent,"
		       " inodes = :inodes WHERE name = :name",
		       "iiit", allocated_bytes, apparent_bytes, inodes, name);
}

void layer_rows_set_lazy(struct change_set *c, const char *name, bool lazy)
{
	change_set_add(c, "UPDATE layers SET lazy = :lazy WHERE name = :name", "it", (int64_t)lazy,
		       name);
}

void layer_rows_update(struct change_set *c, const struct layer *l)
{
	const uint64_t *n = l->access.counters;

	if (l->size_known)
		layer_rows_set_size(c, l->name, l->allocated_bytes, l->apparent_bytes, l->inodes);
	else
		change_set_add(c,
			       "UPDATE layers SET allocated = NULL, apparent = NULL, inodes = NULL"
			       " WHERE name = :name",
			       "t", l->name);
	change_set_add(c,
		       "UPDATE layers SET opens = :opens, execs = :execs, reads = :reads,"
		       " read_bytes = :read_bytes, writes = :writes, written_bytes = :written,"
		       " mmaps = :mmaps, stats = :stats, readlinks = :readlinks,"
		       " copy_ups = :copy_ups, copied_up_bytes = :copied,"
		       " upper_changes = :changes, uses = :uses, first_access = :first,"
		       " last_access = :last WHERE name = :name",
		       "iiiiiiiiiiiiiiit", (int64_t)n[0], (int64_t)n[1], (int64_t)n[2],
		       (int64_t)n[3], (int64_t)n[4], (int64_t)n[5], (int64_t)n[6], (int64_t)n[7],
		       (int64_t)n[8], (int64_t)n[9], (int64_t)n[10], (int64_t)n[11],
		       (int64_t)l->access.uses, l->access.first_ns, l->access.last_ns, l->name);
}

void layer_rows_forget_files(struct change_set *c, const char *name)
{
	change_set_add(c, "DELETE FROM layer_files WHERE layer = :name", "t", name);
}

void layer_rows_delete(struct change_set *c, const char *name)
{
	layer_rows_forget_files(c, name);
	change_set_add(c, "DELETE FROM layers WHERE name = :name", "t", name);
}

/* What a visitor of any loader below needs besides the row. */
struct visit {
	union {
		int (*record)(const struct record_row *row, void *user);
		int (*label)(const char *id, const char *key, const char *value, void *user);
		int (*image_ref)(const char *id, const char *ref, void *user);
		int (*layer)(const struct layer *layer, void *user);
	};
	void *user;
};

static int visit_record(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct record_row r = {
		.id = statement_text(row, 0),
		.parent = statement_text(row, 1),
		.layer = statement_text(row, 2),
		.twin = statement_text(row, 3),
		.description = statement_text(row, 4),
		.type = statement_text(row, 5),
		.is_mutable = sqlite3_column_int64(row, 6),
		.state = sqlite3_column_int64(row, 7),
		.retain = sqlite3_column_int64(row, 8),
		.created_ns = sqlite3_column_int64(row, 9),
		.hits = sqlite3_column_int64(row, 10),
		.last_hit_ns = sqlite3_column_int64(row, 11),
		.ref_uses = sqlite3_column_int64(row, 12),
		.last_ref_use_ns = sqlite3_column_int64(row, 13),
		.pinned = sqlite3_column_int64(row, 14),
		.uid_map = statement_text(row, 15),
		.gid_map = statement_text(row, 16),
	};
	int code = v->record(&r, v->user);

	return code < 0 ? error_set(e, code, "record %s: %s", r.id, strerror(-code)) : 0;
}

int record_rows_load(sqlite3 *db, int (*visit)(const struct record_row *row, void *user),
		     void *user, struct error *e)
{
	struct visit v = { .record = visit, .user = user };

	return statement_query(db, visit_record, &v, e,
			       "SELECT id, parent, layer, twin, description, type, mutable, state,"
			       " retain, created, hits, last_hit, ref_uses, last_ref_use,"
			       " pinned, uid_map, gid_map FROM records",
			       "");
}

static int visit_label(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	int code = v->label(statement_text(row, 0), statement_text(row, 1), statement_text(row, 2),
			    v->user);

	return code < 0 ? error_set(e, code, "labels: %s", strerror(-code)) : 0;
}

int record_rows_load_labels(sqlite3 *db,
			    int (*visit)(const char *id, const char *key, const char *value,
					 void *user),
			    void *user, struct error *e)
{
	struct visit v = { .label = visit, .user = user };

	return statement_query(db, visit_label, &v, e, "SELECT record, key, value FROM labels", "");
}

static int visit_image_ref(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	int code = v->image_ref(statement_text(row, 0), statement_text(row, 1), v->user);

	return code < 0 ? error_set(e, code, "image refs: %s", strerror(-code)) : 0;
}

int record_rows_load_image_refs(sqlite3 *db,
				int (*visit)(const char *id, const char *ref, void *user),
				void *user, struct error *e)
{
	struct visit v = { .image_ref = visit, .user = user };

	return statement_query(db, visit_image_ref, &v, e, "SELECT record, ref FROM image_refs",
			       "");
}

static int visit_layer(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	bool measured = sqlite3_column_type(row, 1) != SQLITE_NULL;
	struct layer l = { .size_known = measured, .measured = measured };
	int code;

	(void)snprintf(l.name, sizeof(l.name), "%s", statement_text(row, 0)); /* ours: it fits */
	l.allocated_bytes = sqlite3_column_int64(row, 1);
	l.apparent_bytes = sqlite3_column_int64(row, 2);
	l.inodes = sqlite3_column_int64(row, 3);
	for (int i = 0; i < LAYER_COUNTERS; i++)
		l.access.counters[i] = (uint64_t)sqlite3_column_int64(row, 4 + i);
	l.access.uses = (uint64_t)sqlite3_column_int64(row, 16);
	l.access.first_ns = sqlite3_column_int64(row, 17);
	l.access.last_ns = sqlite3_column_int64(row, 18);
	l.lazy = sqlite3_column_int64(row, 19) != 0;
	code = v->layer(&l, v->user);
	return code < 0 ? error_set(e, code, "layer %s: %s", l.name, strerror(-code)) : 0;
}

int layer_rows_load(sqlite3 *db, int (*visit)(const struct layer *layer, void *user), void *user,
		    struct error *e)
{
	struct visit v = { .layer = visit, .user = user };

	return statement_query(db, visit_layer, &v, e,
			       "SELECT name, allocated, apparent, inodes, opens, execs, reads,"
			       " read_bytes, writes, written_bytes, mmaps, stats, readlinks,"
			       " copy_ups, copied_up_bytes, upper_changes, uses, first_access,"
			       " last_access, lazy FROM layers",
			       "");
}
