/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of SQLite's write-ahead log, which SQLite itself neither reserves space for nor repairs.
 * SQLite has no locks on it that closing it could drop.
 */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "base/error.h"

/* Allocates space that the log keeps, so that an agent can start and evict on a full disk. Does
 * nothing when there is too little space. */
void database_log_reserve(sqlite3 *db);

/* Like SQLite's own sync of its log. */
int database_log_sync(sqlite3 *db, struct error *e);

/*
 * After a sync that failed, the kernel takes the pages that it could not write for written ones,
 * and the next sync succeeds without them. This writes all frames up to the last committed one
 * again, with the bytes that they have, and syncs the log, so that it is certain what the disk has.
 * *ret_frames: how many those are, also after a failure to write. No write to the log may be under
 * way.
 */
int database_log_rewrite(const char *database_path, uint32_t *ret_frames, struct error *e);

/* That the disk failed under the log, with the reason, as for SQLite's own writes. -EIO */
int database_log_failed(const char *database_path, const char *reason, struct error *e);
