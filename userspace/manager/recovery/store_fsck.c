/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/store_fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "manager/content/content_blobs.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_list.h"
#include "manager/recovery/fsck_files.h"
#include "manager/recovery/fsck_layers.h"
#include "manager/recovery/fsck_report.h"
#include "manager/state/reservation.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"
#include "store/store_check.h"

/* An agent that starts takes the file of that name: if it is not ours any more, there may be two.
 */
static int check_lock(struct fsck *c)
{
	struct manager *m = c->m;
	struct stat ours, there;
	bool repaired = false;
	int fd;

	if (fstat(m->lock_fd, &ours) < 0 ||
	    (fstatat(m->root_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	     ours.st_ino == there.st_ino && ours.st_dev == there.st_dev))
		return 0;
	if (c->o->repair) {
		fd = openat(m->root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		repaired = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
			   dup3(fd, m->lock_fd, O_CLOEXEC) == m->lock_fd;
		if (fd >= 0)
			(void)close(fd); /* m->lock_fd has it now, or another agent does */
	}
	return fsck_report(c, "stale-lock", "lock", repaired,
			   "the file was removed or replaced: a second agent could start, or has%s",
			   c->o->repair && !repaired ? ", and holds the new one: stop it" : "");
}

static int damaged_database(const char *text, void *user)
{
	return fsck_report(user, "damaged-database", "varve.db", false,
			   "%.200s: stop varved, then restore it from a backup or run varved "
			   "--rebuild-database",
			   text);
}

static int note_fault(const char *text, void *user)
{
	(void)text;
	*(bool *)user = true;
	return 0;
}

static bool is_whole(struct fsck *c)
{
	bool fault = false;
	sqlite3 *db = database_lock_reader(c->m->database);
	int code = store_check_integrity(db, note_fault, &fault, NULL);

	database_unlock_reader(c->m->database);
	return code == 0 && !fault;
}

/* Indexes can be made anew from the rows. Other damage is found, and reported, afterwards. */
static int repair_indexes(struct fsck *c)
{
	if (is_whole(c) ||
	    database_write(c->m->database, DATABASE_DURABLE, store_check_reindex, NULL, NULL) < 0)
		return 0;
	if (!is_whole(c))
		return 0;
	return fsck_report(c, "damaged-database", "varve.db", true,
			   "its indexes did not agree with its rows");
}

static int stray_rows(const char *table, int64_t rows, void *user)
{
	struct fsck *c = user;

	return fsck_report(c, "stray-rows", table, c->o->repair,
			   "%" PRId64 " row%s in varve.db whose owner is not there", rows,
			   rows == 1 ? "" : "s");
}

static int read_database(struct fsck *c, struct error *e)
{
	sqlite3 *db = database_lock_reader(c->m->database);
	int code = store_check_integrity(db, damaged_database, c, e);

	if (code == 0)
		code = store_check_stray_rows(db, stray_rows, c, e);
	database_unlock_reader(c->m->database);
	return code;
}

static int check_database(struct fsck *c, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	int code = c->o->repair ? repair_indexes(c) : 0;

	if (code < 0)
		return code;
	/* First, so that no finding says "repaired" of rows that are still there. */
	if (c->o->repair)
		store_check_delete_stray_rows(&changes);
	code = read_database(c, e);
	return code < 0 ? code : change_set_write(&changes, c->m->database, DATABASE_DURABLE, e);
}

static bool is_owned(struct manager *m, const char *layer)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return record_graph_find_layer(locked->graph, layer);
}

static void forget_quarantined(struct manager *m, struct quarantined_record *quarantined)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	hashmap_remove(locked->quarantined, quarantined->id);
	if (hashmap_find(locked->quarantined_layers, quarantined->layer) == quarantined)
		hashmap_remove(locked->quarantined_layers, quarantined->layer);
	free(quarantined);
}

/* Rows first: what then is left of the files is found as an orphan. */
static int drop_quarantined(struct fsck *c, struct quarantined_record *quarantined, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	struct manager *m = c->m;
	bool owned = is_owned(m, quarantined->layer);
	int code;

	record_rows_delete(&changes, quarantined->id);
	if (!owned)
		layer_rows_delete(&changes, quarantined->layer);
	code = change_set_write(&changes, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;
	if (!owned) {
		code = store_files_discard(m, quarantined->layer, e);
		if (code < 0)
			return code;
	}
	forget_quarantined(m, quarantined);
	return 0;
}

/* NULL: no memory. The list is the caller's to free. */
static struct quarantined_record **list_quarantined(struct manager *m, size_t *ret_count)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct quarantined_record **all =
		calloc(hashmap_count(locked->quarantined) + 1, sizeof(struct quarantined_record *));
	struct quarantined_record *quarantined;
	size_t at = 0;

	*ret_count = 0;
	while (all && (quarantined = hashmap_next(locked->quarantined, &at)))
		all[(*ret_count)++] = quarantined;
	return all;
}

/* Only fsck, of which one runs at a time, takes records from the list. */
static int check_quarantined(struct fsck *c)
{
	size_t count;
	cleanup(free_ptr) struct quarantined_record **all = list_quarantined(c->m, &count);

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct quarantined_record lost = *all[i];
		struct error late = { 0 };
		bool dropped = c->o->repair && drop_quarantined(c, all[i], &late) == 0;
		int code = fsck_report(c, "lost-record", lost.id, dropped,
				       "the record has lost %s (layer %s) and was quarantined at "
				       "start%s%s",
				       lost.damage, lost.layer, *late.text ? ": " : "", late.text);

		if (code < 0)
			return code;
	}
	return 0;
}

static bool is_lost(struct fsck *c, const struct mount *mount)
{
	char path[MOUNT_POINT_NAME_SIZE + 8], name[MOUNT_POINT_NAME_SIZE];

	mount_list_point_name(mount->record, false, name);
	(void)snprintf(path, sizeof(path), "mnt/%s", name);
	return !fsck_files_is_mount_root(c, path);
}

/* Reserves the record of the next mount, by id, that the kernel does not have; none: NULL. */
static void reserve_lost_mount(struct fsck *c, uint64_t *after, struct reservation *ret_reserved)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(c->m);
	struct mount *found = NULL;

	for (struct mount *mount = locked->mounts; mount; mount = mount->next)
		if (mount->record && !mount->record->busy && mount->id > *after &&
		    (!found || mount->id < found->id) && is_lost(c, mount))
			found = mount;
	if (!found)
		return;
	*after = found->id;
	reservation_begin(locked, found->record, ret_reserved);
}

static int check_next_mount(struct fsck *c, uint64_t *after, bool *ret_found)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	struct error late = { 0 };
	struct record *r;
	bool repaired;

	reserve_lost_mount(c, after, &reserved);
	r = reserved.record;
	*ret_found = r;
	if (!r)
		return 0;
	repaired = c->o->repair && mount_detach(c->m, r, &late) == 0;
	return fsck_report(c, "lost-mount", r->id, repaired,
			   "mnt/%s was unmounted, and not by the agent%s%s", r->id,
			   *late.text ? ": " : "", late.text);
}

static int check_mounts(struct fsck *c)
{
	bool found = true;
	uint64_t after = 0;
	int code = 0;

	while (found && code == 0)
		code = check_next_mount(c, &after, &found);
	return code;
}

static int missing_blob(const char *id, const char *digest, bool repaired, void *user)
{
	return fsck_report(user, "missing-blob", id, repaired, "blob %s is not there", digest);
}

static int check_rows(struct fsck *c, struct error *e)
{
	int code = check_lock(c);

	if (code < 0)
		return code;
	code = check_database(c, e);
	if (code < 0)
		return code;
	return check_quarantined(c);
}

static int check_store(struct fsck *c, struct error *e)
{
	int code = check_rows(c, e);

	if (code < 0)
		return code;
	code = check_mounts(c);
	if (code < 0)
		return code;
	code = fsck_layers_check(c, e);
	if (code < 0)
		return code;
	code = content_blobs_check(c->m, c->o->repair, missing_blob, c);
	return code < 0 ? code : fsck_files_check(c, e);
}

int store_fsck(struct manager *m, const struct store_fsck_options *o,
	       struct store_fsck_summary *ret_summary, struct error *e)
{
	/* One at a time, and no prune meanwhile. */
	cleanup(ranked_lock_release) struct ranked_lock *alone =
		ranked_lock_acquire(&m->prune_lock);
	struct fsck c = { .m = m, .o = o };
	int code = check_store(&c, e);

	*ret_summary = c.summary;
	if (code < 0 && e && e->code == 0)
		return error_set(e, code, "fsck: %s", strerror(-code));
	return code;
}
