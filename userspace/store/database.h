/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's SQLite file: opened, migrated, and written by one caller at a time, who puts all
 * changes that are waiting into one transaction, so that concurrent commits share an fsync. Each
 * change is atomic: all of it or none. Readers have a connection of their own.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct database;

/* Makes or migrates the file. -EILSEQ: not a database or damaged; -ENOTSUP: made by a newer
 * varved. */
int database_open(const char *path, struct database **ret_database, struct error *e);
/* No call may be under way. */
void database_close(struct database *d);
DEFINE_CLEANUP(struct database *, database_close)

enum database_durability {
	DATABASE_RELAXED, /* survives a crash of the agent, perhaps not a power cut */
	DATABASE_DURABLE, /* survives a power cut once database_write has returned 0 */
};

/* Runs change(connection, arg) in a transaction and returns when it is committed as asked. The
 * thread of any caller runs it: it must take no lock that a caller of database_write may hold. */
int database_write(struct database *d, enum database_durability durability,
		   int (*change)(sqlite3 *db, void *arg, struct error *e), void *arg,
		   struct error *e);

/* The readers' connection, locked until it is given back. Never held across a database_write. */
sqlite3 *database_lock_reader(struct database *d);
void database_unlock_reader(struct database *d);
