/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/damaged_database.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail_point.h"
#include "manager/recovery/quarantine.h"
#include "store/database_rebuild.h"

#define DATABASE "varve.db"
#define PARTIAL "varve.db.partial" /* being written */
#define REBUILT "varve.db.rebuilt" /* complete, and on the disk */

static bool is_there(struct manager *m, const char *name)
{
	return faccessat(m->root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int rename_in_root(struct manager *m, const char *from, const char *to, struct error *e)
{
	if (renameat(m->root_fd, from, m->root_fd, to) < 0)
		return error_set(e, -errno, "rename %s/%s to %s: %s", m->root, from, to,
				 strerror(errno));
	return 0;
}

static void remove_partial(struct manager *m)
{
	static const char *const names[] = { PARTIAL, PARTIAL "-wal", PARTIAL "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlinkat(m->root_fd, names[i], 0); /* there may be none */
}

static int read_what_is_left(struct manager *m, struct error *e)
{
	struct database_rebuild_summary summary;
	char from[PATH_MAX], to[PATH_MAX];
	int code;

	if (!is_there(m, DATABASE))
		return error_set(e, -ENOENT,
				 "%s/" DATABASE " is missing: there is nothing to rebuild it from; "
				 "restore it from a backup",
				 m->root);
	remove_partial(m);
	(void)snprintf(from, sizeof(from), "%s/" DATABASE, m->root);
	(void)snprintf(to, sizeof(to), "%s/" PARTIAL, m->root);
	code = database_rebuild(from, to, &summary, e);
	if (code < 0)
		return code;
	manager_report(m, *summary.damaged != '\0',
		       "%" PRId64 " rows were read in %s; damaged tables: %s", summary.rows, from,
		       *summary.damaged ? summary.damaged : "none");
	return rename_in_root(m, PARTIAL, REBUILT, e);
}

/* The log first: SQLite would take it for that of the new file. */
static int move_damaged(struct manager *m, struct quarantine *q, struct error *e)
{
	static const char *const names[] = { DATABASE "-wal", DATABASE "-shm", DATABASE };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int code = quarantine_put(m, q, names[i], e);

		if (code < 0 && code != -ENOENT)
			return code;
	}
	return 0;
}

int damaged_database_rebuild(struct manager *m, bool wanted, struct error *e)
{
	struct quarantine q = { 0 };
	bool rebuilt = is_there(m, REBUILT);
	int code;

	if (!wanted && !rebuilt)
		return 0;
	code = rebuilt ? 0 : read_what_is_left(m, e);
	if (code < 0)
		return code;
	code = quarantine_sync(m, &q, e); /* the new file is on the disk before the old one goes */
	fail_point("quarantine.rebuilt");
	if (code == 0)
		code = move_damaged(m, &q, e);
	fail_point("quarantine.damaged");
	if (code == 0)
		code = rename_in_root(m, REBUILT, DATABASE, e);
	if (code == 0)
		code = quarantine_sync(m, &q, e);
	if (code == 0 && *q.path)
		manager_report(m, false, "the database was rebuilt; the damaged one is in %s/%s",
			       m->root, q.path);
	return code;
}
