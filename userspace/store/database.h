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

enum database_presence {
	DATABASE_MAY_BE_NEW, /* a missing or empty file becomes a new database */
	DATABASE_MUST_EXIST, /* such a file is refused and left as it is, with its log */
};

/*
 * Opens the file, makes it if it may be new, and migrates it. The file, its log and its shared
 * memory can afterwards be read by their owner only: a process that can read them can lock them.
 * -ENOENT: it has to exist, and is missing or empty. -EILSEQ: it is not a database, not one of
 * Varve's, or damaged. -ENOTSUP: it has a schema that this version does not know.
 */
int database_open(const char *path, enum database_presence presence, struct database **ret_database,
		  struct error *e);
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

/* Makes all that was written so far survive a power cut. */
int database_settle(struct database *d, struct error *e);

/* The readers' connection, locked until it is given back. Never held across a database_write. */
sqlite3 *database_lock_reader(struct database *d);
void database_unlock_reader(struct database *d);

/* A write that failed because of the disk or the file, and not of what was to be written. */
struct database_failure {
	int code; /* 0: there was none since the file was opened */
	char text[1024];
	int64_t at_ns; /* wall clock */
	bool over; /* later ones have succeeded */
};

void database_last_failure(struct database *d, struct database_failure *ret_failure);
