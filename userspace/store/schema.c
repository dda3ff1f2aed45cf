/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fail_point.h"
#include "store/statement.h"

/*
 * A migration is never edited once it has been released: append the next one.
 * Truth: store, records, labels, image_refs, contents, layers, leases, holds, needs, snapshots.
 * Rebuilt from the kernel and the mount table: mounts, mount_layers. Times are wall clock
 * nanoseconds (0: never) unless a column says boot; sizes are bytes.
 */
static const char *const migrations[] = {
	/* 1 */
	"CREATE TABLE store(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"

	"CREATE TABLE layers("
	"  name TEXT PRIMARY KEY,"
	"  allocated INTEGER, apparent INTEGER, inodes INTEGER," /* null: not known, or stale */
	"  opens INTEGER NOT NULL DEFAULT 0, execs INTEGER NOT NULL DEFAULT 0,"
	"  reads INTEGER NOT NULL DEFAULT 0, read_bytes INTEGER NOT NULL DEFAULT 0,"
	"  writes INTEGER NOT NULL DEFAULT 0, written_bytes INTEGER NOT NULL DEFAULT 0,"
	"  mmaps INTEGER NOT NULL DEFAULT 0, stats INTEGER NOT NULL DEFAULT 0,"
	"  readlinks INTEGER NOT NULL DEFAULT 0, copy_ups INTEGER NOT NULL DEFAULT 0,"
	"  copied_up_bytes INTEGER NOT NULL DEFAULT 0, upper_changes INTEGER NOT NULL DEFAULT 0,"
	"  uses INTEGER NOT NULL DEFAULT 0,"
	"  first_access INTEGER NOT NULL DEFAULT 0, last_access INTEGER NOT NULL DEFAULT 0"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE records("
	"  id TEXT PRIMARY KEY,"
	"  parent TEXT, layer TEXT NOT NULL, twin TEXT,"
	"  mutable INTEGER NOT NULL, state INTEGER NOT NULL, retain INTEGER NOT NULL,"
	"  description TEXT NOT NULL, type TEXT NOT NULL, created INTEGER NOT NULL,"
	"  hits INTEGER NOT NULL DEFAULT 0, last_hit INTEGER NOT NULL DEFAULT 0,"
	"  ref_uses INTEGER NOT NULL DEFAULT 0, last_ref_use INTEGER NOT NULL DEFAULT 0"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE labels("
	"  record TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
	"  PRIMARY KEY(record, key)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE image_refs("
	"  record TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY(record, ref)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE leases("
	"  name TEXT PRIMARY KEY, created INTEGER NOT NULL, expires INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE holds("
	"  lease TEXT NOT NULL, record TEXT NOT NULL,"
	"  refs INTEGER NOT NULL, counting INTEGER NOT NULL,"
	"  PRIMARY KEY(lease, record)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE mounts("
	"  id INTEGER PRIMARY KEY, record TEXT NOT NULL,"
	"  writable INTEGER NOT NULL, boot TEXT NOT NULL"
	") STRICT;"
	/* What was folded of each cell, so that no reader counts it twice. */
	"CREATE TABLE mount_layers("
	"  mount INTEGER NOT NULL, idx INTEGER NOT NULL, layer TEXT NOT NULL,"
	"  opens INTEGER NOT NULL DEFAULT 0, execs INTEGER NOT NULL DEFAULT 0,"
	"  reads INTEGER NOT NULL DEFAULT 0, read_bytes INTEGER NOT NULL DEFAULT 0,"
	"  writes INTEGER NOT NULL DEFAULT 0, written_bytes INTEGER NOT NULL DEFAULT 0,"
	"  mmaps INTEGER NOT NULL DEFAULT 0, stats INTEGER NOT NULL DEFAULT 0,"
	"  readlinks INTEGER NOT NULL DEFAULT 0, copy_ups INTEGER NOT NULL DEFAULT 0,"
	"  copied_up_bytes INTEGER NOT NULL DEFAULT 0, upper_changes INTEGER NOT NULL DEFAULT 0,"
	"  first_boot INTEGER NOT NULL DEFAULT 0, last_boot INTEGER NOT NULL DEFAULT 0,"
	"  last_use_boot INTEGER NOT NULL DEFAULT 0,"
	"  PRIMARY KEY(mount, idx)"
	") STRICT, WITHOUT ROWID;"

	/* Files that were read; what was read last is in the kernel. */
	"CREATE TABLE layer_files("
	"  layer TEXT NOT NULL, inode INTEGER NOT NULL,"
	"  opens INTEGER NOT NULL, read_bytes INTEGER NOT NULL, last_access INTEGER NOT NULL,"
	"  PRIMARY KEY(layer, inode)"
	") STRICT, WITHOUT ROWID;",

	/* 2: pins, and what the owner of a lease needs besides what it holds */
	"ALTER TABLE records ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE needs("
	"  lease TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY(lease, what)"
	") STRICT, WITHOUT ROWID;",

	/* 3: maps of ids: both lists, or null for none */
	"ALTER TABLE records ADD COLUMN uid_map TEXT;"
	"ALTER TABLE records ADD COLUMN gid_map TEXT;"
	"ALTER TABLE leases ADD COLUMN uid_map TEXT;"
	"ALTER TABLE leases ADD COLUMN gid_map TEXT;"
	"ALTER TABLE mounts ADD COLUMN uid_map TEXT;"
	"ALTER TABLE mounts ADD COLUMN gid_map TEXT;",

	/* 4: what containerd calls a record; size and inodes are those at its commit */
	"CREATE TABLE snapshots("
	"  record TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL,"
	"  created INTEGER NOT NULL, updated INTEGER NOT NULL,"
	"  size INTEGER NOT NULL, inodes INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	/* The names of the mount's layers, by index; mount_layers has those that were folded. */
	"ALTER TABLE mounts ADD COLUMN layers TEXT NOT NULL DEFAULT '';",

	/* 5: what records are made of, by digest, and layers without files */
	"ALTER TABLE layers ADD COLUMN lazy INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE contents("
	"  record TEXT PRIMARY KEY,"
	"  blob TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,"
	"  diff_id TEXT NOT NULL, chain_id TEXT NOT NULL, blob_chain_id TEXT NOT NULL,"
	"  config TEXT NOT NULL," /* the image's, where one ends here, or empty */
	"  registry TEXT NOT NULL, repository TEXT NOT NULL" /* empty: nowhere */
	") STRICT, WITHOUT ROWID;",

	/* 6: layers that are counted wherever they are mounted; reads and writes told apart */
	"ALTER TABLE layers ADD COLUMN read_opens INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE layers ADD COLUMN last_write INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mount_layers ADD COLUMN read_opens INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mount_layers ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mount_layers ADD COLUMN last_write_boot INTEGER NOT NULL DEFAULT 0;"
	/* What was folded of the layers' own cells: idx 0 as upper, 1 as lower. */
	"CREATE TABLE watch_layers("
	"  watch INTEGER NOT NULL, idx INTEGER NOT NULL, layer TEXT NOT NULL,"
	"  opens INTEGER NOT NULL DEFAULT 0, execs INTEGER NOT NULL DEFAULT 0,"
	"  reads INTEGER NOT NULL DEFAULT 0, read_bytes INTEGER NOT NULL DEFAULT 0,"
	"  writes INTEGER NOT NULL DEFAULT 0, written_bytes INTEGER NOT NULL DEFAULT 0,"
	"  mmaps INTEGER NOT NULL DEFAULT 0, stats INTEGER NOT NULL DEFAULT 0,"
	"  readlinks INTEGER NOT NULL DEFAULT 0, copy_ups INTEGER NOT NULL DEFAULT 0,"
	"  copied_up_bytes INTEGER NOT NULL DEFAULT 0, upper_changes INTEGER NOT NULL DEFAULT 0,"
	"  first_boot INTEGER NOT NULL DEFAULT 0, last_boot INTEGER NOT NULL DEFAULT 0,"
	"  last_use_boot INTEGER NOT NULL DEFAULT 0,"
	"  read_opens INTEGER NOT NULL DEFAULT 0, uses INTEGER NOT NULL DEFAULT 0,"
	"  last_write_boot INTEGER NOT NULL DEFAULT 0,"
	"  PRIMARY KEY(watch, idx)"
	") STRICT, WITHOUT ROWID;",

	/* 7: what happened to layers, and what was learned of when they are needed */
	"CREATE TABLE history("
	"  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, event INTEGER NOT NULL,"
	"  layer TEXT NOT NULL, identity TEXT NOT NULL, below TEXT NOT NULL,"
	"  record TEXT NOT NULL, bytes INTEGER NOT NULL, cost INTEGER NOT NULL," /* cost in ms */
	"  by TEXT NOT NULL, since INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX history_at ON history(at);"
	/* Busy milliseconds; the gap is the mean logarithm of seconds, in millionths. */
	"CREATE TABLE pasts("
	"  layer TEXT PRIMARY KEY, identity TEXT NOT NULL, below TEXT NOT NULL,"
	"  first INTEGER NOT NULL, last INTEGER NOT NULL, counted INTEGER NOT NULL,"
	"  child INTEGER NOT NULL, log_gap INTEGER NOT NULL, needs INTEGER NOT NULL,"
	"  cost INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE departed("
	"  identity TEXT PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL,"
	"  bytes INTEGER NOT NULL, cost INTEGER NOT NULL, first INTEGER NOT NULL,"
	"  last INTEGER NOT NULL, counted INTEGER NOT NULL, log_gap INTEGER NOT NULL,"
	"  needs INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;",

	/* 8: layer_files is written while mounts live; what is known to be missing there */
	"CREATE TABLE layer_file_states("
	"  layer TEXT PRIMARY KEY, files INTEGER NOT NULL," /* rows in layer_files */
	"  lost INTEGER NOT NULL, complete_since INTEGER NOT NULL" /* 0: from the beginning */
	") STRICT, WITHOUT ROWID;"
	"INSERT INTO layer_file_states SELECT layer, count(*), 0, 0 FROM layer_files GROUP BY layer;",

	/* 9: what upkeep read, apart from all else */
	"ALTER TABLE layers ADD COLUMN upkeep_opens INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE layers ADD COLUMN upkeep_reads INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE layers ADD COLUMN upkeep_read_bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE layers ADD COLUMN last_upkeep INTEGER NOT NULL DEFAULT 0;",

	/* 10: what containers and units have read; "" are those without a row of their own */
	"CREATE TABLE layer_readers("
	"  layer TEXT NOT NULL, reader TEXT NOT NULL, upkeep INTEGER NOT NULL,"
	"  opens INTEGER NOT NULL, reads INTEGER NOT NULL, read_bytes INTEGER NOT NULL,"
	"  first INTEGER NOT NULL, last INTEGER NOT NULL,"
	"  PRIMARY KEY(layer, reader, upkeep)"
	") STRICT, WITHOUT ROWID;",

	/* 11: evictions and their regrets are found without the rest of the history */
	"CREATE INDEX history_by ON history(by) WHERE by <> '';",

	/* 12: what faults have mapped in */
	"ALTER TABLE layers ADD COLUMN mapped_bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mount_layers ADD COLUMN mapped_bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE watch_layers ADD COLUMN mapped_bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE layer_files ADD COLUMN mapped_bytes INTEGER NOT NULL DEFAULT 0;",

	/* 13: whether new children of a layer take the place of old ones */
	("ALTER TABLE pasts ADD COLUMN replacements INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE pasts ADD COLUMN comebacks INTEGER NOT NULL DEFAULT 0;"),

	/* 14: when a container was made of the layer last, or removed */
	"ALTER TABLE layers ADD COLUMN last_container INTEGER NOT NULL DEFAULT 0;",
};

static int read_number(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	*(int64_t *)user = sqlite3_column_int64(row, 0);
	return 0;
}

static int run_migration(sqlite3 *db, size_t number, struct error *e)
{
	char set_version[64];
	int code = statement_run(db, e, "BEGIN IMMEDIATE", "");

	if (code < 0)
		return code;
	(void)snprintf(set_version, sizeof(set_version), "PRAGMA user_version=%zu", number);
	code = sqlite3_exec(db, migrations[number - 1], NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, set_version, NULL, NULL, NULL);
	fail_point("migration.commit");
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	fail_point("migration.committed");
	if (code == SQLITE_OK)
		return 0;
	code = statement_error(db, code, e);
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the first error counts */
	return error_context(e, "migration %zu", number);
}

static int read_version(sqlite3 *db, int64_t *ret_version, struct error *e)
{
	return statement_query(db, read_number, ret_version, e, "PRAGMA user_version", "");
}

int schema_check(sqlite3 *db, bool may_be_new, struct error *e)
{
	int64_t version = 0, tables = 0;
	int code = read_version(db, &version, e);

	if (code == 0)
		code = statement_query(db, read_number, &tables, e,
				       "SELECT count(*) FROM sqlite_schema", "");
	if (code < 0)
		return code;
	if (version > (int64_t)ARRAY_SIZE(migrations))
		return error_set(e, -ENOTSUP,
				 "it was made by a newer varved (its schema is %" PRId64
				 ", this one knows %zu): install that version again",
				 version, ARRAY_SIZE(migrations));
	if (version < 0)
		return error_set(e, -ENOTSUP,
				 "it has schema %" PRId64
				 ", which no varved writes: restore it from a backup",
				 version);
	if (version == 0 && tables > 0)
		return error_set(e, -EILSEQ,
				 "it has tables that no varved has made: restore it from a backup");
	if (tables == 0 && (version > 0 || !may_be_new))
		return error_set(e, -ENOENT, "it is empty");
	return 0;
}

int schema_migrate(sqlite3 *db, struct error *e)
{
	int64_t version = 0;
	int code = read_version(db, &version, e);

	for (size_t n = (size_t)version + 1; code == 0 && n <= ARRAY_SIZE(migrations); n++)
		code = run_migration(db, n, e);
	return code;
}
