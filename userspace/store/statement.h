/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL statements on a connection: compiled once, bound to values, run. SQLite's codes become
 * negative errnos, and the error has SQLite's own words.
 */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Statements: named parameters, and SQLite's codes as negative errnos with SQLite's own words.
 * `format` names the parameters' types, one character each: t text (NULL: null), i int64_t. */
int statement_run(sqlite3 *db, struct error *e, const char *sql, const char *types, ...);
/* Like statement_run, and calls row(statement, user) for each row; a negative return ends it. */
int statement_query(sqlite3 *db, int (*row)(sqlite3_stmt *row, void *user, struct error *e),
		    void *user, struct error *e, const char *sql, const char *types, ...);
/* The connection's statement of this text, compiled once and kept; not to be used by two at a time.
 * It is given back with statement_reuse(), never finalized. */
int statement_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *e);
void statement_reuse(sqlite3_stmt *statement);
DEFINE_CLEANUP(sqlite3_stmt *, statement_reuse)
/* A row's text, "" for null. */
const char *statement_text(sqlite3_stmt *row, int column);
/* With errno as SQLite left it, 0 if no call of the kernel failed. */
int statement_error(sqlite3 *db, int sqlite_code, struct error *e);
