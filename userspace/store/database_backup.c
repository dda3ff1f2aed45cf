/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "store/database_connection.h"
#include "store/statement.h"
#include "store/store_check.h"
#include "store/store_rows.h"

#define PAGES_AT_ONCE 1024 /* between two looks at whether the call was cancelled */
#define PRIVATE_MODE 0600

DEFINE_CLEANUP(sqlite3 *, database_connection_close)

static int make_file(const char *path, struct error *e)
{
	cleanup(close_fd) int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PRIVATE_MODE);

	return fd >= 0 ? 0 : error_set(e, -errno, "make %s: %s", path, strerror(errno));
}

/* A connection of its own, and a transaction in it: the copy has what was committed when the
 * transaction began, although others write meanwhile. */
static int open_source(struct database *d, sqlite3 **ret_source, struct error *e)
{
	sqlite3 *reader = database_lock_reader(d);
	int code = database_connection_open(sqlite3_db_filename(reader, "main"), ret_source, e);

	database_unlock_reader(d);
	if (code == 0)
		code = statement_run(*ret_source, e, "BEGIN", "");
	return code < 0 ? code
			: statement_run(*ret_source, e, "SELECT count(*) FROM sqlite_schema", "");
}

static int copy_pages(sqlite3 *source, sqlite3 *copy, const atomic_bool *cancelled, struct error *e)
{
	sqlite3_backup *b = sqlite3_backup_init(copy, "main", source, "main");
	bool stop = false;
	int code;

	if (!b)
		return statement_error(copy, sqlite3_extended_errcode(copy), e);
	do {
		code = sqlite3_backup_step(b, PAGES_AT_ONCE);
		stop = cancelled && atomic_load(cancelled);
	} while (code == SQLITE_OK && !stop);
	(void)sqlite3_backup_finish(b); /* repeats the error of the last step */
	if (code == SQLITE_DONE)
		return 0;
	return code == SQLITE_OK ? error_set(e, -ECANCELED, "the backup was cancelled")
				 : statement_error(copy, code, e);
}

static int note_fault(const char *text, void *user)
{
	return error_set(user, -EILSEQ, "the database is damaged: %s (varve fsck)", text);
}

int database_backup(struct database *d, const char *path, const atomic_bool *cancelled,
		    struct error *e)
{
	cleanup(database_connection_close) sqlite3 *source = NULL;
	cleanup(database_connection_close) sqlite3 *copy = NULL;
	int code = open_source(d, &source, e);

	if (code < 0)
		return code;
	code = make_file(path, e);
	if (code < 0)
		return code;
	code = database_connection_open(path, &copy, e);
	if (code < 0)
		return code;
	/* A copy that is cut off is thrown away. */
	code = statement_run(copy, e, "PRAGMA synchronous=OFF", "");
	if (code < 0)
		return code;
	code = copy_pages(source, copy, cancelled, e);
	if (code < 0)
		return code;
	code = statement_run(copy, e,
			     "INSERT OR REPLACE INTO store(key, value) VALUES(:key, 'backup')", "t",
			     STORE_ROW_RESTORED);
	if (code < 0)
		return code;
	/* One file: without a log beside it. */
	code = statement_run(copy, e, "PRAGMA journal_mode=DELETE", "");
	return code < 0 ? code : store_check_integrity(copy, note_fault, e, e);
}
