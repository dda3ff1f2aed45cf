/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_rows.h"

#include <errno.h>
#include <string.h>

#include "store/statement.h"

static int read_value(sqlite3_stmt *row, void *user, struct error *e)
{
	char **value = user;

	*value = strdup(statement_text(row, 0));
	return *value ? 0 : error_set(e, -ENOMEM, "out of memory");
}

int store_rows_find(sqlite3 *db, const char *key, char **ret_value, struct error *e)
{
	char *value = NULL;
	int code = statement_query(db, read_value, &value, e,
				   "SELECT value FROM store WHERE key = :key", "t", key);

	if (code == 0)
		*ret_value = value;
	return code;
}

void store_rows_set(struct change_set *c, const char *key, const char *value)
{
	change_set_add(c, "INSERT OR REPLACE INTO store(key, value) VALUES(:key, :value)", "tt",
		       key, value);
}

void store_rows_delete(struct change_set *c, const char *key)
{
	change_set_add(c, "DELETE FROM store WHERE key = :key", "t", key);
}
