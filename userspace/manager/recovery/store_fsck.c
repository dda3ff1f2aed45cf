/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/store_fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "manager/content/content_blobs.h"
#include "manager/state/manager_state.h"
#include "manager/records/layer_sizes.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_list.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/records/record_delete.h"
#include "manager/recovery/recover_rows.h"
#include "manager/state/store_files.h"
#include "manager/state/store_root.h"
#include "manager/state/trash.h"
#include "manager/mounts/counter_fold.h"
#include "overlay/overlay_mount.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"
#include "store/store_check.h"
#include "layer/disk_walk.h"

#define PATH_SIZE 300 /* of a path within the store */

struct check {
	struct manager *m;
	const struct store_fsck_options *o;
	struct store_fsck_summary summary;
	bool remeasure; /* sizes were found wrong, and are to be mended */
};

static int report(struct check *c, const char *kind, const char *what, bool repaired,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

static int report(struct check *c, const char *kind, const char *what, bool repaired,
		  const char *format, ...)
{
	struct store_finding finding = { .kind = kind, .what = what, .repaired = repaired };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(finding.detail, sizeof(finding.detail), format, args);
	va_end(args);
	c->summary.found++;
	c->summary.repaired += repaired;
	return c->o->found(&finding, c->o->user);
}

static bool is_cancelled(const struct check *c)
{
	return c->o->cancelled && atomic_load(c->o->cancelled);
}

/* ---- the lock ---- */

/* An agent that starts takes the file of that name: if it is not ours any more, there may be two.
 */
static int check_lock(struct check *c)
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
	return report(c, "stale-lock", "lock", repaired,
		      "the file was removed or replaced: a second agent could start, or has%s",
		      c->o->repair && !repaired ? ", and holds the new one: stop it" : "");
}

/* ---- the database ---- */

static int damaged_database(const char *text, void *user)
{
	return report(user, "damaged-database", "varve.db", false,
		      "%.200s: stop varved, and recover what is left with sqlite3 varve.db "
		      ".recover",
		      text);
}

static int stray_rows(const char *table, int64_t rows, void *user)
{
	struct check *c = user;

	return report(c, "stray-rows", table, c->o->repair,
		      "%" PRId64 " row%s in varve.db whose owner is not there", rows,
		      rows == 1 ? "" : "s");
}

static int check_database(struct check *c, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	sqlite3 *db;
	int code;

	/* First, so that nothing is said to be mended that was not. */
	if (c->o->repair)
		store_check_delete_stray_rows(&changes);
	db = database_lock_reader(c->m->database);
	code = store_check_integrity(db, damaged_database, c, e);
	if (code == 0)
		code = store_check_stray_rows(db, stray_rows, c, e);
	database_unlock_reader(c->m->database);
	if (code == 0)
		code = change_set_write(&changes, c->m->database, DATABASE_DURABLE, e);
	return code;
}

/* ---- what was quarantined at start ---- */

/* Rows first: what then is left of the files is found as an orphan. */
static int drop_quarantined(struct check *c, struct quarantined_record *quarantined,
			    struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	struct manager *m = c->m;
	bool owned;
	int code;

	manager_lock(m);
	owned = record_graph_find_layer(m->graph, quarantined->layer);
	manager_unlock(m);
	record_rows_delete(&changes, quarantined->id);
	if (!owned)
		layer_rows_delete(&changes, quarantined->layer);
	code = change_set_write(&changes, m->database, DATABASE_DURABLE, e);
	if (code == 0 && !owned)
		code = store_files_discard(m, quarantined->layer, e);
	if (code < 0)
		return code;
	manager_lock(m);
	hashmap_remove(m->quarantined, quarantined->id);
	if (hashmap_find(m->quarantined_layers, quarantined->layer) == quarantined)
		hashmap_remove(m->quarantined_layers, quarantined->layer);
	manager_unlock(m);
	free(quarantined);
	return 0;
}

/* Only fsck, of which there is one at a time, takes anything from the list. */
static int check_quarantined(struct check *c)
{
	struct manager *m = c->m;
	size_t count = 0, at = 0;
	cleanup(free_ptr) struct quarantined_record **all = NULL;
	struct quarantined_record *quarantined;
	int code = 0;

	manager_lock(m);
	all = calloc(hashmap_count(m->quarantined) + 1, sizeof(struct quarantined_record *));
	while (all && (quarantined = hashmap_next(m->quarantined, &at)))
		all[count++] = quarantined;
	manager_unlock(m);
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count && code == 0; i++) {
		struct quarantined_record lost = *all[i];
		struct error late = { 0 };
		bool dropped = c->o->repair && drop_quarantined(c, all[i], &late) == 0;

		code = report(c, "lost-record", lost.id, dropped,
			      "the record has lost %s (layer %s) and was quarantined at start%s%s",
			      lost.damage, lost.layer, *late.text ? ": " : "", late.text);
	}
	return code;
}

/* ---- layers ---- */

/* What is to be looked at without the lock. */
struct layer_check {
	char id[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1];
	bool sized; /* the size is of now, and should be right */
	uint64_t upper_changes;
	struct disk_usage size;
};

static bool is_written(const struct record *r)
{
	return r->mount && r->mount->writable;
}

static int list_layers(struct check *c, struct layer_check **ret_layers, size_t *ret_count)
{
	struct manager *m = c->m;
	struct layer_check *layers;
	size_t count = 0, at = 0;
	struct record *r;

	manager_lock(m);
	layers = calloc(record_graph_count(m->graph) + 1, sizeof(*layers));
	while (layers && (r = record_graph_next(m->graph, &at))) {
		struct layer_check *l = &layers[count];

		if (!record_is_listed(r) || r->busy || r->layer->lazy || r->extractions > 0)
			continue;
		memcpy(l->id, r->id, sizeof(l->id));
		memcpy(l->layer, r->layer->name, sizeof(l->layer));
		l->sized = r->layer->size_known && !is_written(r) &&
			   !(r->twin && is_written(r->twin));
		l->upper_changes = r->layer->upper_changes;
		l->size = (struct disk_usage){ .allocated_bytes = r->layer->allocated_bytes,
					       .apparent_bytes = r->layer->apparent_bytes,
					       .inodes = r->layer->inodes };
		count++;
	}
	manager_unlock(m);
	if (!layers)
		return -ENOMEM;
	*ret_layers = layers;
	*ret_count = count;
	return 0;
}

/* With the lock: the record as it was when it was looked at; NULL when that is no longer so. */
static struct record *find_unchanged(struct check *c, const struct layer_check *l)
{
	struct record *r = record_graph_find(c->m->graph, l->id);

	manager_assert_locked(c->m);
	if (!r || r->busy || strcmp(r->layer->name, l->layer) != 0 ||
	    r->layer->upper_changes != l->upper_changes)
		return NULL;
	return r;
}

/* With the lock: the record and all on top of it, children first. False when one of them is in use;
 * *ret_records is the caller's to free in any case. */
static bool collect_subtree(struct check *c, struct record *top, struct record ***ret_records,
			    size_t *ret_count)
{
	struct record **records = calloc(record_graph_count(c->m->graph) + 1, sizeof(*records));
	size_t count = 0;
	bool free = records != NULL;

	manager_assert_locked(c->m);
	*ret_records = records;
	*ret_count = 0;
	if (!records)
		return false;
	/* Parents first, and then turned round. */
	records[count++] = top;
	for (size_t i = 0; i < count; i++) {
		const struct record *r = records[i];

		free = free && eviction_candidates_is_free(r);
		for (struct record *child = r->first_child; child; child = child->next_sibling)
			if (record_is_listed(child))
				records[count++] = child;
	}
	for (size_t i = 0; i < count / 2; i++) {
		struct record *r = records[i];

		records[i] = records[count - 1 - i];
		records[count - 1 - i] = r;
	}
	*ret_count = count;
	return free;
}

static int delete_subtree(struct check *c, const struct layer_check *l, struct error *e)
{
	cleanup(free_ptr) struct record **records = NULL;
	size_t count = 0;
	struct record *r;
	int code = 0;

	manager_lock(c->m);
	r = find_unchanged(c, l);
	if (!r)
		code = error_set(e, -EBUSY, "it has changed meanwhile");
	else if (!collect_subtree(c, r, &records, &count))
		code = error_set(e, records ? -EBUSY : -ENOMEM,
				 "it, or a record on top of it, is held, mounted or pinned");
	for (size_t i = 0; i < count && code == 0; i++)
		manager_reserve(records[i]);
	manager_unlock(c->m);
	if (code < 0)
		return code;
	code = record_delete_reserved(c->m, records, count, e);
	if (code == 0)
		return 0;
	manager_lock(c->m);
	for (size_t i = 0; i < count; i++)
		manager_unreserve(c->m, records[i]);
	manager_unlock(c->m);
	return code;
}

static bool is_unchanged(struct check *c, const struct layer_check *l)
{
	bool unchanged;

	manager_lock(c->m);
	unchanged = find_unchanged(c, l);
	manager_unlock(c->m);
	return unchanged;
}

static int missing_layer(struct check *c, const struct layer_check *l)
{
	struct error late = { 0 };
	bool deleted;

	if (!is_unchanged(c, l))
		return 0;
	deleted = c->o->repair && delete_subtree(c, l, &late) == 0;
	return report(c, "missing-layer", l->id, deleted,
		      "layers/%s/fs of this record is not there%s%s", l->layer,
		      *late.text ? ": " : "", late.text);
}

static int check_size(struct check *c, const struct layer_check *l, int fd)
{
	struct disk_usage now;
	struct record *r;
	bool wrong;

	if (disk_walk(fd, c->o->cancelled, &now, NULL) < 0 ||
	    (now.allocated_bytes == l->size.allocated_bytes &&
	     now.apparent_bytes == l->size.apparent_bytes && now.inodes == l->size.inodes))
		return 0;
	manager_lock(c->m);
	r = find_unchanged(c, l);
	wrong = r && r->layer->size_known && !is_written(r);
	if (wrong && c->o->repair)
		r->layer->size_known = false;
	manager_unlock(c->m);
	if (!wrong)
		return 0;
	c->remeasure |= c->o->repair;
	return report(c, "wrong-size", l->id, c->o->repair,
		      "layer %s takes %" PRId64 " bytes in %" PRId64 " files, not %" PRId64
		      " in %" PRId64,
		      l->layer, now.allocated_bytes, now.inodes, l->size.allocated_bytes,
		      l->size.inodes);
}

static int check_link(struct check *c, const struct layer_check *l)
{
	char link[PATH_SIZE], target[STORE_FILES_PATH_SIZE], present[PATH_SIZE] = "";
	bool repaired;

	(void)snprintf(link, sizeof(link), "l/%s", l->layer);
	store_files_link_target(l->layer, target);
	if (readlinkat(c->m->root_fd, link, present, sizeof(present) - 1) >= 0 &&
	    strcmp(present, target) == 0)
		return 0;
	if (!is_unchanged(c, l))
		return 0;
	repaired = c->o->repair && store_files_link(c->m, l->layer, NULL) >= 0;
	return report(c, "broken-link", link, repaired, "it does not lead to %s", target + 3);
}

static int check_layer(struct check *c, const struct layer_check *l)
{
	cleanup(close_fd) int fd = -EBADF;
	int code;

	if (store_files_open_layer(c->m, l->layer, &fd, NULL) == -ENOENT)
		return missing_layer(c, l);
	code = check_link(c, l);
	return code == 0 && l->sized && fd >= 0 ? check_size(c, l, fd) : code;
}

static int check_layers(struct check *c, struct error *e)
{
	cleanup(free_ptr) struct layer_check *layers = NULL;
	size_t count = 0;
	int code;

	counter_fold(c->m); /* so that no change is taken for a wrong size */
	code = list_layers(c, &layers, &count);
	for (size_t i = 0; i < count && code == 0; i++) {
		code = is_cancelled(c) ? -ECANCELED : check_layer(c, &layers[i]);
		c->summary.records++;
	}
	if (code == 0 && c->remeasure)
		code = layer_sizes_measure(c->m, c->o->cancelled, e);
	return code;
}

/* ---- what is in the store's directories ---- */

static bool layer_is_known(struct check *c, const char *name)
{
	bool known;

	manager_lock(c->m);
	known = record_graph_find_layer(c->m->graph, name) ||
		recover_rows_is_quarantined(c->m, name);
	manager_unlock(c->m);
	return known || unmount_queue_has(c->m, name);
}

static bool is_still_there(struct check *c, const char *path)
{
	return faccessat(c->m->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int orphan_layer(struct check *c, const char *name, const char *path)
{
	bool repaired;

	if (strlen(name) > LAYER_NAME_LENGTH)
		return report(c, "stranger", path, false, "it is not Varve's, and is left alone");
	if (layer_is_known(c, name) || !is_still_there(c, path))
		return 0;
	repaired = c->o->repair && store_files_discard(c->m, name, NULL) == 0;
	return report(c, "orphan-layer", path, repaired, "it belongs to no record");
}

static int orphan_link(struct check *c, const char *name, const char *path)
{
	bool repaired;

	if (layer_is_known(c, name) || !is_still_there(c, path))
		return 0;
	repaired = c->o->repair && unlinkat(c->m->root_fd, path, 0) == 0;
	return report(c, "orphan-link", path, repaired, "there is no layer of that name");
}

/* Whether a record may have a mount of that name, now or in a moment. */
static bool mount_is_known(struct check *c, const char *name)
{
	char id[RECORD_ID_LENGTH + 1];
	const struct record *r;
	bool known;

	(void)snprintf(id, sizeof(id), "%.*s", RECORD_ID_LENGTH, name);
	manager_lock(c->m);
	r = record_graph_find(c->m->graph, id);
	known = r && (r->busy || r->mount);
	manager_unlock(c->m);
	return known || unmount_queue_has(c->m, id);
}

static bool is_mount_root(struct check *c, const char *path)
{
	struct statx st;

	return statx(c->m->root_fd, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int stray_mount_point(struct check *c, const char *name, const char *path)
{
	struct error late = { 0 };
	bool mounted, repaired;

	if (mount_is_known(c, name) || !is_still_there(c, path))
		return 0;
	mounted = is_mount_root(c, path);
	repaired = c->o->repair &&
		   (!mounted || overlay_unmount(c->m->mounts_fd, name, &late) == 0) &&
		   unlinkat(c->m->root_fd, path, AT_REMOVEDIR) == 0;
	return report(c, mounted ? "stray-mount" : "stray-mount-point", path, repaired,
		      "no record is mounted there%s%s", *late.text ? ": " : "", late.text);
}

static int check_directory(struct check *c, const char *directory,
			   int (*check)(struct check *c, const char *name, const char *path),
			   struct error *e)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(c->m, directory);
	struct dirent *entry;
	int code = 0;

	if (!d)
		return error_set(e, -errno, "open %s/%s: %s", c->m->root, directory,
				 strerror(errno));
	while (code == 0 && (entry = readdir(d))) {
		char path[PATH_SIZE];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		code = is_cancelled(c) ? -ECANCELED : check(c, entry->d_name, path);
	}
	return code;
}

/* Files that no record of the database at some start had named. */
static int in_quarantine(struct check *c, const char *name, const char *path)
{
	char to[PATH_SIZE + 16];
	bool repaired;

	(void)snprintf(to, sizeof(to), "trash/quarantine.%s", name);
	repaired = c->o->repair && renameat(c->m->root_fd, path, c->m->root_fd, to) == 0;
	return report(c, "quarantine", path, repaired,
		      "no record has named what is in it since the agent started at that time");
}

static int check_quarantine(struct check *c, struct error *e)
{
	return is_still_there(c, "quarantine") ? check_directory(c, "quarantine", in_quarantine, e)
					       : 0;
}

static int left_in_trash(struct check *c, const char *name, const char *path)
{
	(void)name;
	if (!is_still_there(c, path))
		return 0;
	return report(c, "full-trash", path, false,
		      "it could not be deleted: the agent's log says why");
}

/* Whatever the trash holds is being deleted already; what is left then could not be. */
static int check_trash(struct check *c, struct error *e)
{
	trash_wake(c->m);
	trash_drain(c->m);
	return check_directory(c, "trash", left_in_trash, e);
}

/* ---- mounts ---- */

/* With the lock: the next mount that the kernel does not have; reserved. */
static struct record *next_lost_mount(struct check *c, uint64_t after, uint64_t *ret_id)
{
	struct mount *found = NULL;

	manager_assert_locked(c->m);
	for (struct mount *mount = c->m->mounts; mount; mount = mount->next) {
		char path[MOUNT_POINT_NAME_SIZE + 8], name[MOUNT_POINT_NAME_SIZE];

		if (!mount->record || mount->record->busy || mount->id <= after ||
		    (found && mount->id > found->id))
			continue;
		mount_list_point_name(mount->record, false, name);
		(void)snprintf(path, sizeof(path), "mnt/%s", name);
		if (!is_mount_root(c, path))
			found = mount;
	}
	if (!found)
		return NULL;
	*ret_id = found->id;
	manager_reserve(found->record);
	return found->record;
}

static int check_mounts(struct check *c)
{
	struct manager *m = c->m;
	uint64_t id = 0;
	int code = 0;

	while (code == 0) {
		struct error late = { 0 };
		bool repaired;
		struct record *r;

		manager_lock(m);
		r = next_lost_mount(c, id, &id);
		manager_unlock(m);
		if (!r)
			break;
		repaired = c->o->repair && mount_detach(m, r, &late) == 0;
		code = report(c, "lost-mount", r->id, repaired,
			      "somebody unmounted mnt/%s behind the agent's back%s%s", r->id,
			      *late.text ? ": " : "", late.text);
		manager_lock(m);
		manager_unreserve(m, r);
		manager_unlock(m);
	}
	return code;
}

static int missing_blob(const char *id, const char *digest, bool repaired, void *user)
{
	return report(user, "missing-blob", id, repaired, "blob %s is not there", digest);
}

/* ---- all of it ---- */

static int check_store(struct check *c, struct error *e)
{
	int code = check_lock(c);

	if (code == 0)
		code = check_database(c, e);
	if (code == 0)
		code = check_quarantined(c);
	if (code == 0)
		code = check_mounts(c);
	if (code == 0)
		code = check_layers(c, e);
	if (code == 0)
		code = content_blobs_check(c->m, c->o->repair, missing_blob, c);
	if (code == 0)
		code = check_directory(c, "layers", orphan_layer, e);
	if (code == 0)
		code = check_directory(c, "l", orphan_link, e);
	if (code == 0)
		code = check_directory(c, "mnt", stray_mount_point, e);
	if (code == 0)
		code = check_quarantine(c, e);
	return code == 0 ? check_trash(c, e) : code;
}

int store_fsck(struct manager *m, const struct store_fsck_options *o,
	       struct store_fsck_summary *ret_summary, struct error *e)
{
	struct check c = { .m = m, .o = o };
	int code;

	ranked_lock_acquire(&m->prune_lock); /* one at a time, and no prune meanwhile */
	code = check_store(&c, e);
	ranked_lock_release(&m->prune_lock);
	*ret_summary = c.summary;
	if (code < 0 && e && e->code == 0)
		return error_set(e, code, "fsck: %s", strerror(-code));
	return code;
}
