/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_rows.h"

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

void record_rows_set_type(struct change_set *c, const char *id, const char *type)
{
	change_set_add(c, "UPDATE records SET type = :type WHERE id = :id", "tt", type, id);
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

/* What a visitor of any loader below needs besides the row. */
struct visit {
	union {
		int (*record)(const struct record_row *row, void *user);
		int (*label)(const char *id, const char *key, const char *value, void *user);
		int (*image_ref)(const char *id, const char *ref, void *user);
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
			       " pinned, uid_map, gid_map FROM records ORDER BY id",
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

	return statement_query(db, visit_label, &v, e,
			       "SELECT record, key, value FROM labels ORDER BY record", "");
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

	return statement_query(db, visit_image_ref, &v, e,
			       "SELECT record, ref FROM image_refs ORDER BY record", "");
}
