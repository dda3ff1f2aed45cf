/* SPDX-License-Identifier: Apache-2.0 */
#include "store/snapshot_rows.h"

#include <string.h>

#include "store/statement.h"

void snapshot_rows_set(struct change_set *c, const struct snapshot *s)
{
	/* Replaces the key of a quarantined record, if it has the same. */
	change_set_add(c,
		       "INSERT OR REPLACE INTO snapshots(record, key, kind, created, updated, size,"
		       " inodes) VALUES(:record, :key, :kind, :created, :updated, :size, :inodes)",
		       "ttiiiii", s->record->id, s->key, (int64_t)s->kind, s->created_ns,
		       s->updated_ns, s->size_bytes, s->inodes);
}

void snapshot_rows_set_updated(struct change_set *c, const char *record, int64_t updated_ns)
{
	change_set_add(c, "UPDATE snapshots SET updated = :updated WHERE record = :record", "it",
		       updated_ns, record);
}

void snapshot_rows_delete(struct change_set *c, const char *record)
{
	change_set_add(c, "DELETE FROM snapshots WHERE record = :record", "t", record);
}

struct visit {
	int (*row)(const struct snapshot_row *row, void *user);
	void *user;
};

static int visit_row(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct snapshot_row r = {
		.record = statement_text(row, 0),
		.key = statement_text(row, 1),
		.kind = sqlite3_column_int64(row, 2),
		.created_ns = sqlite3_column_int64(row, 3),
		.updated_ns = sqlite3_column_int64(row, 4),
		.size_bytes = sqlite3_column_int64(row, 5),
		.inodes = sqlite3_column_int64(row, 6),
	};
	int code = v->row(&r, v->user);

	return code < 0 ? error_set(e, code, "snapshots: %s", strerror(-code)) : 0;
}

int snapshot_rows_load(sqlite3 *db, int (*visit)(const struct snapshot_row *row, void *user),
		       void *user, struct error *e)
{
	struct visit v = { .row = visit, .user = user };

	return statement_query(
		db, visit_row, &v, e,
		"SELECT record, key, kind, created, updated, size, inodes FROM snapshots", "");
}
