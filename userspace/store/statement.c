/* SPDX-License-Identifier: Apache-2.0 */
#include "store/statement.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* With SQLite's own words: what is wrong with which file, and what to do. */
static int explain(int sqlite_code, int code, const char *path, const char *text, struct error *e)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_BUSY:
		return error_set(e, code,
				 "another process has locked the database: end it (`fuser %s` "
				 "shows which), then try again",
				 path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return error_set(
			e, code,
			"the database %s is damaged (%s): stop varved, then restore it from "
			"a backup or run varved --rebuild-database",
			path, text);
	case SQLITE_FULL:
		return error_set(e, code,
				 "no space for the database %s (%s): free some, for example with "
				 "varve prune",
				 path, text);
	case SQLITE_READONLY:
		return error_set(e, code,
				 "the database %s cannot be written (%s): see the kernel's log for "
				 "why its file system is read-only, then restart varved",
				 path, text);
	case SQLITE_IOERR:
		return error_set(
			e, code,
			"the disk failed under the database %s (%s): see the kernel's log, "
			"then restart varved and run varve fsck",
			path, text);
	default:
		return error_set(e, code, "database: %s", text);
	}
}

/* SQLite knows of disks that are full, and not of quotas that are used up, which errno says. A sync
 * that fails is more than that. */
static bool lacks_space(int sqlite_code, int cause)
{
	return (sqlite_code & 0xff) == SQLITE_IOERR && sqlite_code != SQLITE_IOERR_FSYNC &&
	       (cause == EDQUOT || cause == ENOSPC);
}

int statement_error(sqlite3 *db, int sqlite_code, struct error *e)
{
	static const struct {
		int sqlite, code;
	} codes[] = {
		{ SQLITE_FULL, -ENOSPC },	{ SQLITE_NOMEM, -ENOMEM },
		{ SQLITE_READONLY, -EROFS },	{ SQLITE_CANTOPEN, -EACCES },
		{ SQLITE_CONSTRAINT, -EEXIST }, { SQLITE_CORRUPT, -EILSEQ },
		{ SQLITE_NOTADB, -EILSEQ },	{ SQLITE_BUSY, -EAGAIN },
		{ SQLITE_PERM, -EACCES },	{ SQLITE_TOOBIG, -E2BIG },
	};
	int cause = errno;
	const char *path, *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(sqlite_code);
	int code = -EIO;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].sqlite == (sqlite_code & 0xff))
			code = codes[i].code;
	path = db ? sqlite3_db_filename(db, "main") : NULL;
	if (!path || !*path)
		path = "file";
	if (lacks_space(sqlite_code, cause))
		return explain(SQLITE_FULL, -ENOSPC, path, strerror(cause), e);
	return explain(sqlite_code, code, path, text, e);
}

static int bind(sqlite3_stmt *s, const char *types, va_list args)
{
	int code = SQLITE_OK;

	for (int i = 1; types[i - 1] && code == SQLITE_OK; i++) {
		if (types[i - 1] == 't')
			code = sqlite3_bind_text(s, i, va_arg(args, const char *), -1,
						 SQLITE_TRANSIENT);
		else
			code = sqlite3_bind_int64(s, i, va_arg(args, int64_t));
	}
	return code;
}

int statement_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *e)
{
	sqlite3_stmt *s = NULL;
	int code;

	/* SQLite knows its statements: there are few, and comparing their texts is far cheaper than
	 * compiling one. */
	while ((s = sqlite3_next_stmt(db, s)))
		if (!sqlite3_stmt_busy(s) && strcmp(sqlite3_sql(s), sql) == 0)
			break;
	if (!s) {
		code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
		if (code != SQLITE_OK)
			return statement_error(db, code, e);
	}
	*ret_statement = s;
	return 0;
}

void statement_reuse(sqlite3_stmt *s)
{
	(void)sqlite3_reset(s); /* repeats the error of the last step, which was reported */
	(void)sqlite3_clear_bindings(s); /* always succeeds */
}

static int query(sqlite3 *db, int (*row)(sqlite3_stmt *row, void *user, struct error *e),
		 void *user, struct error *e, const char *sql, const char *types, va_list args)
{
	cleanup(statement_reuse) sqlite3_stmt *s = NULL;
	int code = statement_prepare(db, sql, &s, e);

	if (code < 0)
		return code;
	code = bind(s, types, args);
	if (code != SQLITE_OK)
		return statement_error(db, code, e);
	errno = 0; /* for statement_error() */
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		int refused = row ? row(s, user, e) : 0;

		if (refused < 0)
			return refused;
	}
	return code == SQLITE_DONE ? 0 : statement_error(db, code, e);
}

int statement_query(sqlite3 *db, int (*row)(sqlite3_stmt *row, void *user, struct error *e),
		    void *user, struct error *e, const char *sql, const char *types, ...)
{
	va_list args;
	int code;

	va_start(args, types);
	code = query(db, row, user, e, sql, types, args);
	va_end(args);
	return code;
}

int statement_run(sqlite3 *db, struct error *e, const char *sql, const char *types, ...)
{
	va_list args;
	int code;

	va_start(args, types);
	code = query(db, NULL, NULL, e, sql, types, args);
	va_end(args);
	return code;
}

const char *statement_text(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return text ? (const char *)text : "";
}
