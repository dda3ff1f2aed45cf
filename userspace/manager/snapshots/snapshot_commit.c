/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   operation   files and mounts            database             in between, after a crash
 *   commit      sync what was written       committed, durable   still active
 *
 * The mount is frozen first, and left to the unmount queue last.
 */
#include "manager/history/history.h"
#include "manager/snapshots/snapshot_commit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/disk_walk.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/snapshots/snapshot_content.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/reservation.h"
#include "manager/state/store_files.h"
#include "manager/state/written_layer.h"
#include "store/content_rows.h"
#include "store/layer_rows.h"
#include "store/reader_rows.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"

struct commit {
	struct manager *m;
	struct record *r;
	struct snapshot *committed; /* reserves the name; becomes the record's own */
	struct record *draft; /* the new labels, and as description the name */
	struct disk_usage size; /* without the layer's root directory */
	struct record_content *content; /* NULL: it is not known */
};

/* With the lock: the snapshot, and that the name is free, both at one moment. -EEXIST. */
static int check_name(struct manager *m, const char *key, const char *name,
		      struct snapshot **ret_snapshot, struct error *e)
{
	struct snapshot *s, *taken;
	bool waited;

	manager_assert_locked(m);
	do {
		waited = false;
		s = snapshot_keys_find(m, key, &waited);
		taken = snapshot_keys_find(m, name, &waited);
	} while (waited);
	if (!s)
		return error_set(e, -ENOENT, "snapshot %.256s does not exist: not found", key);
	if (taken)
		return error_set(e, -EEXIST, "committed snapshot %.256s: already exists", name);
	if (s->kind != SNAPSHOT_ACTIVE)
		return error_set(e, -EBUSY,
				 "snapshot \"%.256s\" is not active: failed precondition", key);
	*ret_snapshot = s;
	return 0;
}

static int reserve_name(struct commit *commit, const char *key, const char *name,
			struct reservation *ret_reserved, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(commit->m);
	struct snapshot *s = NULL;
	int code = check_name(locked, key, name, &s, e);

	if (code < 0)
		return code;
	if (snapshot_keys_insert(locked, commit->committed) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	commit->r = s->record;
	commit->committed->record = s->record;
	reservation_begin(locked, s->record, ret_reserved);
	return 0;
}

/* Measures the layer and writes it to the disk. An upper in which nothing is needs no write if its
 * own directory was on the disk before the snapshot was made. */
static int measure_and_sync(struct commit *commit, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	struct stat root;
	int code = store_files_open_layer(commit->m, commit->r->layer->name, &fd, e);

	if (code < 0)
		return code;
	code = disk_walk(fd, NULL, &commit->size, e);
	if (code < 0)
		return code;
	if (fstat(fd, &root) < 0)
		return error_set(e, -errno, "the layer's root: %s", strerror(errno));
	if (commit->size.inodes > 0 ||
	    snapshot_keys_root_ctime_ns(&root) != commit->r->snapshot->root_ctime_ns)
		code = written_layer_sync(commit->m, commit->r->layer, fd, e);
	if (code < 0)
		return code;
	commit->committed->size_bytes =
		commit->size.allocated_bytes + snapshot_keys_root_bytes(&root);
	commit->committed->inodes = commit->size.inodes + 1;
	return 0;
}

static int find_content(struct commit *commit, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(commit->m);
	int code = snapshot_content_verified(locked, commit->r, commit->committed->key,
					     commit->size.changed_ns, &commit->content);

	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

static int write_committed(struct commit *commit, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *r = commit->r;

	record_rows_set_committed(&c, r->id, commit->draft->description);
	record_rows_delete_labels(&c, r->id);
	record_rows_add_labels(&c, r->id, commit->draft->labels, commit->draft->label_count);
	snapshot_rows_set(&c, commit->committed);
	if (commit->content)
		content_rows_set(&c, r->id, commit->content);
	manager_lock(commit->m);
	r->layer->allocated_bytes = commit->size.allocated_bytes;
	r->layer->apparent_bytes = commit->size.apparent_bytes;
	r->layer->inodes = commit->size.inodes;
	r->layer->size_known = r->layer->measured = true;
	layer_forget_uses(r->layer);
	layer_rows_update(&c, r->layer);
	reader_rows_forget(&c, r->layer->name);
	manager_unlock(commit->m);
	return change_set_write(&c, commit->m->database, DATABASE_DURABLE, e);
}

static int measure_and_write(struct commit *commit, struct error *e)
{
	int code = measure_and_sync(commit, e);

	if (code == 0)
		code = find_content(commit, e);
	return code < 0 ? code : write_committed(commit, e);
}

static int commit_reserved(struct commit *commit, struct error *e)
{
	struct manager *m = commit->m;
	struct error late = { 0 };
	int code = mount_detach_freeze(m, commit->r, true, e);

	if (code < 0)
		return code;
	counter_fold_layer(m, commit->r->layer->name);
	code = measure_and_write(commit, e);
	if (code < 0 && mount_detach_freeze(m, commit->r, false, &late) < 0)
		manager_report(m, true, "record=%s stays read-only: %s", commit->r->id, late.text);
	return code;
}

static void publish_committed(struct commit *commit)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(commit->m);
	struct record *r = commit->r;

	snapshot_keys_remove(locked, r->snapshot->key);
	snapshot_free(r->snapshot);
	r->snapshot = commit->committed;
	r->is_mutable = false;
	record_graph_set_content(locked->graph, r, take_ptr(commit->content));
	record_swap_labels(r, commit->draft);
	free(r->description);
	r->description = take_ptr(commit->draft->description);
	history_made(locked, r);
}

static void give_name_back(struct commit *commit)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(commit->m);

	snapshot_keys_remove(locked, commit->committed->key);
	snapshot_free(commit->committed);
}

/* What the record will be: its labels and description in a draft, its name in a snapshot. */
static int prepare(struct commit *commit, const char *name, const struct record_label *labels,
		   size_t label_count, struct error *e)
{
	int code = snapshot_keys_check("name", name, e);

	if (code < 0)
		return code;
	code = snapshot_keys_draft(labels, label_count, &commit->draft, e);
	if (code < 0)
		return code;
	free(commit->draft->description);
	commit->draft->description = snapshot_keys_describe(name);
	commit->committed = snapshot_keys_new(name, SNAPSHOT_COMMITTED);
	if (!commit->draft->description || !commit->committed)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int commit_prepared(struct commit *commit, const char *key, struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	struct unmount_task task = { 0 };
	int code = reserve_name(commit, key, commit->committed->key, &reserved, e);

	if (code < 0) {
		snapshot_free(commit->committed);
		return code;
	}
	code = commit_reserved(commit, e);
	if (code < 0) {
		give_name_back(commit);
		return error_context(e, "failed to commit snapshot");
	}
	mount_detach_later(commit->m, commit->r, &task);
	publish_committed(commit);
	if (task.mounted)
		unmount_queue_add(commit->m, &task); /* before the reservation ends: a child
						      * that is mounted waits for it */
	return 0;
}

int snapshot_commit(struct manager *m, const char *key, const char *name,
		    const struct record_label *labels, size_t label_count, struct error *e)
{
	struct commit commit = { .m = m };
	int code = prepare(&commit, name, labels, label_count, e);

	if (code < 0)
		snapshot_free(commit.committed);
	else
		code = commit_prepared(&commit, key, e);
	record_free(commit.draft);
	record_content_free(commit.content);
	return code;
}
