/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, as numbered migrations; PRAGMA user_version is the number of the last one. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"

/* Whether this version can migrate the database, which is only read. -ENOENT: it has no tables, and
 * may not be new. -EILSEQ: its tables are not Varve's. -ENOTSUP: its schema is not known. */
int schema_check(sqlite3 *db, bool may_be_new, struct error *e);
/* Runs the migrations that the database, which was checked, has not had. */
int schema_migrate(sqlite3 *db, struct error *e);
