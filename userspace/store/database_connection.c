/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database_connection.h"

#include "store/statement.h"

#define BUSY_WAIT_MS 5000

int database_connection_open(const char *path, sqlite3 **ret_db, struct error *e)
{
	int code = sqlite3_open_v2(path, ret_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				   "unix-excl");

	if (code == SQLITE_OK)
		code = sqlite3_extended_result_codes(*ret_db, 1);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(*ret_db, BUSY_WAIT_MS);
	if (code == SQLITE_OK)
		return 0;
	code = statement_error(*ret_db, code, e);
	return error_context(e, "open %s", path);
}

void database_connection_close(sqlite3 *db)
{
	sqlite3_stmt *s;

	while (db && (s = sqlite3_next_stmt(db, NULL)))
		(void)sqlite3_finalize(s); /* repeats an error that was reported */
	(void)sqlite3_close(db); /* nothing is left that could keep it open */
}
