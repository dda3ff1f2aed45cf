/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_check.h"

#include <errno.h>
#include <string.h>

#include "store/statement.h"

#define WITHOUT(column, table, key) " WHERE " column " NOT IN (SELECT " key " FROM " table ")"
#define TABLE(name, condition)                                                              \
	{                                                                                   \
		name, "SELECT count(*) FROM " name condition, "DELETE FROM " name condition \
	}

static const struct owned_table {
	const char *name, *count, *delete_strays;
} tables[] = {
	TABLE("labels", WITHOUT("record", "records", "id")),
	TABLE("image_refs", WITHOUT("record", "records", "id")),
	TABLE("contents", WITHOUT("record", "records", "id")),
	TABLE("holds", WITHOUT("record", "records", "id")),
	TABLE("holds", WITHOUT("lease", "leases", "name")),
	TABLE("needs", WITHOUT("lease", "leases", "name")),
	TABLE("snapshots", WITHOUT("record", "records", "id")),
	TABLE("layers", WITHOUT("name", "records", "layer")),
	TABLE("layer_files", WITHOUT("layer", "layers", "name")),
	TABLE("layer_file_states", WITHOUT("layer", "layers", "name")),
	TABLE("mount_layers", WITHOUT("mount", "mounts", "id")),
	TABLE("watch_layers", WITHOUT("layer", "layers", "name")),
};

struct visit {
	int (*text)(const char *text, void *user);
	int64_t count;
	void *user;
};

static int read_verdict(sqlite3_stmt *row, void *user, struct error *e)
{
	const struct visit *v = user;
	const char *text = statement_text(row, 0);

	(void)e;
	return strcmp(text, "ok") == 0 ? 0 : v->text(text, v->user);
}

int store_check_integrity(sqlite3 *db, int (*found)(const char *text, void *user), void *user,
			  struct error *e)
{
	struct visit v = { .text = found, .user = user };

	return statement_query(db, read_verdict, &v, e, "PRAGMA integrity_check(20)", "");
}

int store_check_pages(sqlite3 *db, int (*found)(const char *text, void *user), void *user,
		      struct error *e)
{
	struct visit v = { .text = found, .user = user };

	return statement_query(db, read_verdict, &v, e, "PRAGMA quick_check(1)", "");
}

int store_check_reindex(sqlite3 *db, void *unused, struct error *e)
{
	(void)unused;
	return statement_run(db, e, "REINDEX", "");
}

static int read_count(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	((struct visit *)user)->count = sqlite3_column_int64(row, 0);
	return 0;
}

int store_check_stray_rows(sqlite3 *db, int (*found)(const char *table, int64_t rows, void *user),
			   void *user, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		struct visit v = { .count = 0 };
		int code = statement_query(db, read_count, &v, e, tables[i].count, "");

		if (code == 0 && v.count > 0)
			code = found(tables[i].name, v.count, user);
		if (code < 0)
			return code;
	}
	return 0;
}

void store_check_delete_stray_rows(struct change_set *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		change_set_add(c, tables[i].delete_strays, "");
}
