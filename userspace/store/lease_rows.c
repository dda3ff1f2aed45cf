/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lease_rows.h"

#include <string.h>

#include "store/statement.h"

void lease_rows_insert(struct change_set *c, const struct lease *l)
{
	change_set_add(c,
		       "INSERT INTO leases(name, created, expires, uid_map, gid_map)"
		       " VALUES(:name, :created, :expires, :uid_map, :gid_map)",
		       "tiitt", l->name, l->created_ns, l->expires_ns, l->id_map.uids,
		       l->id_map.gids);
}

void lease_rows_ensure(struct change_set *c, const struct lease *l)
{
	change_set_add(c,
		       "INSERT OR IGNORE INTO leases(name, created, expires)"
		       " VALUES(:name, :created, :expires)",
		       "tii", l->name, l->created_ns, l->expires_ns);
}

void lease_rows_delete_empty(struct change_set *c, const char *name)
{
	change_set_add(c,
		       "DELETE FROM leases WHERE name = :name"
		       " AND NOT EXISTS (SELECT 1 FROM holds WHERE lease = leases.name)",
		       "t", name);
}

void lease_rows_delete(struct change_set *c, const char *name)
{
	change_set_add(c, "DELETE FROM holds WHERE lease = :name", "t", name);
	change_set_add(c, "DELETE FROM needs WHERE lease = :name", "t", name);
	change_set_add(c, "DELETE FROM leases WHERE name = :name", "t", name);
}

void lease_rows_set_hold(struct change_set *c, const char *lease, const char *record, unsigned refs,
			 unsigned counting_refs)
{
	if (refs == 0)
		change_set_add(c, "DELETE FROM holds WHERE lease = :lease AND record = :record",
			       "tt", lease, record);
	else
		change_set_add(c,
			       "INSERT OR REPLACE INTO holds(lease, record, refs, counting)"
			       " VALUES(:lease, :record, :refs, :counting)",
			       "ttii", lease, record, (int64_t)refs, (int64_t)counting_refs);
}

void lease_rows_set_references(struct change_set *c, const char *lease, char *const *references,
			       size_t count)
{
	change_set_add(c, "DELETE FROM needs WHERE lease = :lease", "t", lease);
	for (size_t i = 0; i < count; i++)
		change_set_add(c, "INSERT INTO needs(lease, what) VALUES(:lease, :what)", "tt",
			       lease, references[i]);
}

struct visit {
	union {
		int (*lease)(const struct lease_row *row, void *user);
		int (*hold)(const char *lease, const char *record, unsigned refs,
			    unsigned counting_refs, void *user);
		int (*need)(const char *lease, const char *what, void *user);
	};
	void *user;
};

static int visit_lease(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct lease_row r = {
		.name = statement_text(row, 0),
		.uid_map = statement_text(row, 3),
		.gid_map = statement_text(row, 4),
		.created_ns = sqlite3_column_int64(row, 1),
		.expires_ns = sqlite3_column_int64(row, 2),
	};
	int code = v->lease(&r, v->user);

	return code < 0 ? error_set(e, code, "lease '%s': %s", r.name, strerror(-code)) : 0;
}

int lease_rows_load(sqlite3 *db, int (*visit)(const struct lease_row *row, void *user), void *user,
		    struct error *e)
{
	struct visit v = { .lease = visit, .user = user };

	return statement_query(db, visit_lease, &v, e,
			       "SELECT name, created, expires, uid_map, gid_map FROM leases", "");
}

static int visit_hold(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	int code = v->hold(statement_text(row, 0), statement_text(row, 1),
			   (unsigned)sqlite3_column_int64(row, 2),
			   (unsigned)sqlite3_column_int64(row, 3), v->user);

	return code < 0 ? error_set(e, code, "holds: %s", strerror(-code)) : 0;
}

int lease_rows_load_holds(sqlite3 *db,
			  int (*visit)(const char *lease, const char *record, unsigned refs,
				       unsigned counting_refs, void *user),
			  void *user, struct error *e)
{
	struct visit v = { .hold = visit, .user = user };

	return statement_query(db, visit_hold, &v, e,
			       "SELECT lease, record, refs, counting FROM holds", "");
}

static int visit_need(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	int code = v->need(statement_text(row, 0), statement_text(row, 1), v->user);

	return code < 0 ? error_set(e, code, "needs: %s", strerror(-code)) : 0;
}

int lease_rows_load_references(sqlite3 *db,
			       int (*visit)(const char *lease, const char *what, void *user),
			       void *user, struct error *e)
{
	struct visit v = { .need = visit, .user = user };

	return statement_query(db, visit_need, &v, e,
			       "SELECT lease, what FROM needs ORDER BY lease, what", "");
}
