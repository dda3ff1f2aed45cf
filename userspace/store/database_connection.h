/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens SQLite connections, all of them with the index of the log in the memory of this process,
 * not in a mapped file: an access to a mapped file ends the process with SIGBUS when the file
 * system has no space, or fails. The process keeps a lock on the database, so that others cannot
 * open it meanwhile. The connections of one process share it.
 */
#pragma once

#include <sqlite3.h>

#include "base/error.h"

/* Sets *ret_db also on failure: the caller closes it. */
int database_connection_open(const char *path, sqlite3 **ret_db, struct error *e);

void database_connection_close(sqlite3 *db);
