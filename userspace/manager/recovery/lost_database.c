/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/lost_database.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fail_point.h"
#include "manager/recovery/quarantine.h"
#include "manager/state/store_files.h"
#include "manager/state/store_root.h"

static int has_entries(struct manager *m, const char *directory, bool *ret_has, struct error *e)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(m, directory);
	const struct dirent *entry;

	*ret_has = false;
	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return error_set(e, -errno, "open %s/%s: %s", m->root, directory, strerror(errno));
	while ((entry = readdir(d)))
		*ret_has |= entry->d_name[0] != '.';
	return 0;
}

/* Whether the store has files that only its database can explain. */
static int has_content(struct manager *m, bool *ret_has, struct error *e)
{
	bool layers = false, blobs = false;
	int code = has_entries(m, "layers", &layers, e);

	if (code < 0)
		return code;
	code = has_entries(m, "blobs/sha256", &blobs, e);
	if (code < 0)
		return code;
	*ret_has = layers || blobs;
	return 0;
}

static int quarantine_content(struct manager *m, struct error *e)
{
	static const char *const names[] = { "varve.db", "varve.db-wal", "varve.db-shm", "layers",
					     "l",	 "blobs" };
	struct quarantine q = { 0 };
	int code;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		code = quarantine_put(m, &q, names[i], e);
		if (code < 0 && code != -ENOENT)
			return code;
		fail_point("quarantine.moved");
	}
	/* The new database must not reach the disk before the files are out of its way. */
	code = quarantine_sync(m, &q, e);
	if (code == 0)
		manager_report(m, false, "the layers and blobs of a lost database are in %s/%s",
			       m->root, q.path);
	return code;
}

int lost_database_open(struct manager *m, bool quarantine, struct error *e)
{
	cleanup(free_ptr) char *path = NULL;
	bool has = false;
	int code = has_content(m, &has, e);

	if (code < 0)
		return code;
	if (asprintf(&path, "%s/varve.db", m->root) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	code = database_open(path, has ? DATABASE_MUST_EXIST : DATABASE_MAY_BE_NEW, &m->database,
			     e);
	if (code == 0 && quarantine)
		return error_set(e, -EEXIST,
				 "the database %s is not lost: there is nothing to quarantine",
				 path);
	if (code != -ENOENT || !has)
		return code;
	if (!quarantine)
		return error_set(e, -ENOENT,
				 "the database %s is missing or empty, but the store has layers or "
				 "blobs: restore it from a backup, or quarantine them and "
				 "begin with no records: varved --root %s --quarantine-layers",
				 path, m->root);
	code = quarantine_content(m, e);
	return code < 0 ? code : database_open(path, DATABASE_MAY_BE_NEW, &m->database, e);
}
