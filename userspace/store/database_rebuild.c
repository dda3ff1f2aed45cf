/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database_rebuild.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "store/change_set.h"
#include "store/database.h"
#include "store/database_connection.h"
#include "store/statement.h"
#include "store/store_check.h"
#include "store/store_rows.h"

static void finalize(sqlite3_stmt *s)
{
	(void)sqlite3_finalize(s); /* repeats an error that was seen */
}
DEFINE_CLEANUP(sqlite3_stmt *, finalize)

DEFINE_CLEANUP(sqlite3 *, database_connection_close)

struct rebuilding {
	sqlite3 *from, *to;
	struct database_rebuild_summary summary;
};

/* A table of the new database. */
struct table {
	const char *name;
	struct strbuf columns, marks, backwards; /* lists; how to read it from its end */
	bool has_rowid;
};

static void table_free(struct table *t)
{
	strbuf_free(&t->columns);
	strbuf_free(&t->marks);
	strbuf_free(&t->backwards);
}
DEFINE_CLEANUP_VALUE(struct table, table_free)

static int compile(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement)
{
	return sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL);
}

/* A row that the new table refuses, since it is there or since its values are not of the right
 * type, is left out. */
static int insert(struct rebuilding *r, sqlite3_stmt *row, sqlite3_stmt *insertion, struct error *e)
{
	int code;

	for (int i = 0; i < sqlite3_column_count(row); i++)
		(void)sqlite3_bind_value(insertion, i + 1, sqlite3_column_value(row, i));
	code = sqlite3_step(insertion);
	(void)sqlite3_reset(insertion); /* repeats the code */
	(void)sqlite3_clear_bindings(insertion); /* always succeeds */
	if (code == SQLITE_DONE)
		r->summary.rows += sqlite3_changes(r->to);
	else if ((code & 0xff) != SQLITE_CONSTRAINT)
		return statement_error(r->to, code, e);
	return 0;
}

/* Up to the end, or to the first damage. */
static int copy_rows(struct rebuilding *r, const struct table *t, const char *order,
		     bool *ret_whole, struct error *e)
{
	cleanup(strbuf_free) struct strbuf select = { 0 }, into = { 0 };
	cleanup(finalize) sqlite3_stmt *row = NULL;
	cleanup(finalize) sqlite3_stmt *insertion = NULL;
	int code;

	strbuf_appendf(&select, "SELECT %s FROM %s NOT INDEXED%s", t->columns.text, t->name, order);
	strbuf_appendf(&into, "INSERT OR IGNORE INTO %s(%s) VALUES(%s)", t->name, t->columns.text,
		       t->marks.text);
	if (strbuf_failed(&select) || strbuf_failed(&into))
		return error_set(e, -ENOMEM, "out of memory");
	code = compile(r->to, into.text, &insertion);
	if (code != SQLITE_OK)
		return statement_error(r->to, code, e);
	*ret_whole = false;
	if (compile(r->from, select.text, &row) != SQLITE_OK)
		return 0; /* the table's definition is damaged */
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		int refused = insert(r, row, insertion, e);

		if (refused < 0)
			return refused;
	}
	*ret_whole = code == SQLITE_DONE;
	return 0;
}

static int add_column(sqlite3_stmt *row, void *user, struct error *e)
{
	const char *name = statement_text(row, 1);
	struct table *t = user;

	(void)e;
	strbuf_appendf(&t->columns, "%s%s", t->columns.length ? ", " : "", name);
	strbuf_append(&t->marks, t->marks.length ? ", ?" : "?");
	if (!t->has_rowid && sqlite3_column_int(row, 5) > 0) /* of the primary key, in its order */
		strbuf_appendf(&t->backwards, "%s%s DESC",
			       t->backwards.length ? ", " : " ORDER BY ", name);
	return 0;
}

static int describe_table(sqlite3 *db, const char *name, struct table *t, struct error *e)
{
	cleanup(strbuf_free) struct strbuf sql = { 0 };
	cleanup(finalize) sqlite3_stmt *probe = NULL;
	int code;

	t->name = name;
	strbuf_appendf(&sql, "SELECT rowid FROM %s", name);
	t->has_rowid = !strbuf_failed(&sql) && compile(db, sql.text, &probe) == SQLITE_OK;
	if (t->has_rowid)
		strbuf_append(&t->backwards, " ORDER BY rowid DESC");
	strbuf_reset(&sql);
	strbuf_appendf(&sql, "PRAGMA table_info(%s)", name);
	if (strbuf_failed(&sql))
		return error_set(e, -ENOMEM, "out of memory");
	code = statement_query(db, add_column, t, e, sql.text, "");
	if (code == 0 && (strbuf_failed(&t->columns) || strbuf_failed(&t->marks) ||
			  strbuf_failed(&t->backwards)))
		return error_set(e, -ENOMEM, "out of memory");
	return code;
}

static void note_damage(struct database_rebuild_summary *summary, const char *table)
{
	size_t used = strlen(summary->damaged);

	(void)snprintf(summary->damaged + used, sizeof(summary->damaged) - used, "%s%s",
		       used ? ", " : "", table); /* cut is fine */
}

static int copy_table(struct rebuilding *r, const char *name, struct error *e)
{
	cleanup(table_free) struct table t = { 0 };
	bool whole, backwards_whole;
	int code = describe_table(r->to, name, &t, e);

	if (code == 0)
		code = copy_rows(r, &t, "", &whole, e);
	if (code < 0 || whole)
		return code;
	note_damage(&r->summary, name);
	return copy_rows(r, &t, t.backwards.text, &backwards_whole, e);
}

static int take_name(sqlite3_stmt *row, void *user, struct error *e)
{
	struct strbuf *names = user;

	(void)e;
	strbuf_append_bytes(names, statement_text(row, 0), strlen(statement_text(row, 0)) + 1);
	return 0;
}

static int copy_tables(struct rebuilding *r, struct error *e)
{
	cleanup(strbuf_free) struct strbuf names = { 0 };
	int code = statement_query(
		r->to, take_name, &names, e,
		"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
		"");

	if (code == 0 && strbuf_failed(&names))
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t at = 0; code == 0 && at < names.length; at += strlen(names.text + at) + 1)
		code = copy_table(r, names.text + at, e);
	return code;
}

static int read_number(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	*(int64_t *)user = sqlite3_column_int64(row, 0);
	return 0;
}

static int compare_schemas(struct rebuilding *r, struct error *e)
{
	int64_t from = 0, to = 0;
	int code = statement_query(r->to, read_number, &to, e, "PRAGMA user_version", "");

	if (code < 0)
		return code;
	code = statement_query(r->from, read_number, &from, e, "PRAGMA user_version", "");
	if (code < 0)
		return code;
	/* A migration changes rows, too. */
	return from == to
		       ? 0
		       : error_set(e, -ENOTSUP,
				   "it has schema %" PRId64 ", and this varved can rebuild %" PRId64
				   ": use the version that has written it, or restore a backup",
				   from, to);
}

/* In a transaction of the new database. */
static int copy_all(sqlite3 *to, void *arg, struct error *e)
{
	struct rebuilding *r = arg;
	int code;

	r->to = to;
	code = compare_schemas(r, e);
	if (code < 0)
		return code;
	code = copy_tables(r, e);
	if (code < 0)
		return code;
	if (r->summary.rows == 0)
		return error_set(e, -EILSEQ, "nothing can be read in it: restore a backup");
	return statement_run(to, e,
			     "INSERT OR REPLACE INTO store(key, value) VALUES(:key, 'rebuilt')",
			     "t", STORE_ROW_RESTORED);
}

static int fill(struct rebuilding *r, struct database *to, struct error *e)
{
	cleanup(change_set_free) struct change_set strays = { 0 };
	int code = database_write(to, DATABASE_DURABLE, copy_all, r, e);

	if (code < 0)
		return code;
	store_check_delete_stray_rows(&strays);
	return change_set_write(&strays, to, DATABASE_DURABLE, e);
}

static void remove_files(const char *path)
{
	static const char *const suffixes[] = { "", "-wal" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		char name[PATH_MAX];

		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name); /* there may be none */
	}
}

/* Its log is empty once it is closed. */
static int leave_one_file(const char *path, struct error *e)
{
	char log[PATH_MAX];

	(void)snprintf(log, sizeof(log), "%s-wal", path);
	struct stat st;
	if (stat(log, &st) == 0 && st.st_size > 0)
		return error_set(e, -EIO, "the log of %s could not be emptied", path);
	(void)unlink(log);
	return 0;
}

static int make(struct rebuilding *r, const char *path, struct error *e)
{
	cleanup(database_close) struct database *to = NULL;
	int code = database_open(path, DATABASE_MAY_BE_NEW, &to, e);

	return code < 0 ? code : fill(r, to, e);
}

int database_rebuild(const char *damaged, const char *path,
		     struct database_rebuild_summary *ret_summary, struct error *e)
{
	cleanup(database_connection_close) sqlite3 *from = NULL;
	struct rebuilding r = { 0 };
	/* For writing: SQLite applies the log only so. */
	int code = database_connection_open(damaged, &from, e);

	if (code < 0)
		return code;
	r.from = from;
	code = make(&r, path, e);
	if (code == 0)
		code = leave_one_file(path, e);
	if (code < 0) {
		remove_files(path);
		return error_context(e, "rebuild %s", damaged);
	}
	*ret_summary = r.summary;
	return 0;
}
