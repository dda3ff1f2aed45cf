/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a snapshot; each operation is one durable transaction.
 *
 *   operation   files and mounts               database      in between, after a crash
 *   create      make layer, mount              live          layer and mount are strangers: go
 *   commit      sync what was written          committed     still active
 *   remove      –                              rows gone     layer and mount are strangers: go
 *
 * What is unmounted then, and moved to the trash, is left for the unmount queue.
 */
#include "manager/snapshots/snapshot_life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/mount_attach.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/records/record_draft.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/store_files.h"
#include "manager/state/trash.h"
#include "overlay/overlay_mount.h"
#include "store/lease_rows.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"
#include "layer/disk_walk.h"

/* ---- create ---- */

static struct snapshot *new_snapshot(const char *key, enum snapshot_kind kind)
{
	cleanup(snapshot_free) struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->key = strdup(key);
	if (!s->key)
		return NULL;
	s->kind = kind;
	s->created_ns = s->updated_ns = clock_wall_ns();
	return take_ptr(s);
}

static int build_record(const struct snapshot_request *q, struct record **ret_record,
			struct error *e)
{
	cleanup(record_free) struct record *draft = NULL;
	cleanup(record_free) struct record *r = NULL;
	cleanup(free_ptr) char *description = snapshot_keys_describe(q->key);
	struct record_options options = { .description = description, .retain = true };
	int code = snapshot_keys_draft(q->labels, q->label_count, &draft, e);

	if (code < 0)
		return code;
	options.labels = draft->labels;
	options.label_count = draft->label_count;
	r = description ? record_draft_build(&options, NULL) : NULL;
	if (r)
		r->snapshot = new_snapshot(q->key, q->kind);
	if (!r || !r->snapshot)
		return error_set(e, -ENOMEM, "out of memory");
	r->snapshot->record = r;
	r->is_mutable = q->kind == SNAPSHOT_ACTIVE;
	*ret_record = take_ptr(r);
	return 0;
}

/* With the lock. */
static int find_parent(struct manager *m, const struct snapshot_request *q,
		       struct record **ret_parent, bool *ret_waited, struct error *e)
{
	struct snapshot *parent;

	manager_assert_locked(m);
	if (!*q->parent)
		return 0;
	parent = snapshot_keys_find(m, q->parent, ret_waited);
	if (!parent)
		return error_set(e, -ENOENT, "missing parent \"%.256s\" bucket: not found",
				 q->parent);
	if (parent->kind != SNAPSHOT_COMMITTED)
		return error_set(e, -EINVAL,
				 "parent \"%.256s\" is not committed snapshot: invalid argument",
				 q->parent);
	*ret_parent = parent->record;
	return record_draft_check_depth(parent->record, e);
}

/* With the lock: the record gets its place in the graph and its key; -EEXIST. */
static int reserve_key(struct manager *m, const struct snapshot_request *q, struct record **r,
		       struct lease **ret_lease, struct error *e)
{
	struct record *parent = NULL, *reserved = *r;
	struct snapshot *taken;
	bool waited;
	int code;

	manager_assert_locked(m);
	do {
		waited = false;
		code = find_parent(m, q, &parent, &waited, e);
		if (code < 0)
			return code;
		taken = snapshot_keys_find(m, q->key, &waited);
	} while (waited);
	if (taken)
		return error_set(e, -EEXIST, "snapshot %.256s: already exists", q->key);
	code = snapshot_keys_lease(m, q->key, ret_lease, e);
	if (code < 0)
		return code;
	code = record_draft_insert(m, r, parent, *ret_lease, e);
	if (code == 0 && snapshot_keys_insert(m, reserved->snapshot) < 0) {
		code = error_set(e, -ENOMEM, "out of memory");
		record_refs_clear(reserved);
		record_graph_remove(m->graph, reserved);
		*r = NULL;
	}
	if (code < 0)
		snapshot_keys_put_lease(m, *ret_lease);
	return code;
}

/* The layer's root belongs to whom the parent's belongs. */
static int inherit_owner(struct manager *m, const struct record *r, struct error *e)
{
	char path[STORE_FILES_PATH_SIZE];
	struct stat st;

	if (!r->parent)
		return 0;
	store_files_layer_path(r->parent->layer->name, path);
	if (fstatat(m->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, -errno, "the parent's %s/%s: %s", m->root, path,
				 strerror(errno));
	if (st.st_uid == 0 && st.st_gid == 0)
		return 0;
	store_files_layer_path(r->layer->name, path);
	if (fchownat(m->root_fd, path, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, -errno, "change the owner of %s/%s: %s", m->root, path,
				 strerror(errno));
	return 0;
}

static int64_t ctime_ns(const struct stat *st)
{
	return st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec;
}

struct creation {
	struct manager *m;
	struct record *r;
	struct lease *l;
	struct change_set rows;
	bool files; /* have been made */
	int written; /* 0: the rows are; else why not */
	struct error e; /* of that */
};

static void add_rows(struct creation *n)
{
	layer_rows_insert(&n->rows, n->r->layer->name);
	record_rows_insert(&n->rows, n->r, RECORD_LIVE);
	lease_rows_ensure(&n->rows, n->l);
	manager_lock(n->m);
	lease_table_save_hold(&n->rows, n->r, n->l);
	manager_unlock(n->m);
	snapshot_rows_set(&n->rows, n->r->snapshot);
}

static void *write_rows(void *arg)
{
	struct creation *n = arg;

	n->written = change_set_write(&n->rows, n->m->database, DATABASE_DURABLE, &n->e);
	return NULL;
}

/* The disk and the kernel work at the same time: a crash leaves no snapshot, or one that nobody
 * knows of, whose files are there. */
static int write_and_mount(struct creation *n, struct mount *mount, struct error *e)
{
	pthread_t thread;
	bool parallel = pthread_create(&thread, NULL, write_rows, n) == 0;
	int code = mount_attach_prepared(n->m, n->r, mount, e);

	if (parallel)
		pthread_join(thread, NULL);
	else if (code == 0)
		(void)write_rows(n);
	if (code == 0 && n->written < 0)
		code = error_set(e, n->written, "%s", n->e.text);
	return code;
}

static int make(struct creation *n, struct error *e)
{
	struct record *r = n->r;
	struct mount *mount;
	struct stat st;
	char path[STORE_FILES_PATH_SIZE];
	int code = store_files_make(n->m, r->layer->name, e);

	n->files = code == 0;
	if (code == 0)
		code = inherit_owner(n->m, r, e);
	if (code < 0)
		return code;
	mount = mount_attach_prepare(n->m, r, &r->id_map, &n->rows);
	if (!mount)
		return error_set(e, -ENOMEM, "out of memory");
	add_rows(n);
	code = write_and_mount(n, mount, e);
	store_files_layer_path(r->layer->name, path);
	if (code == 0 && fstatat(n->m->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r->mount->root_ctime_ns = ctime_ns(&st);
	return code;
}

static int write_removed(struct manager *m, const struct record *r, const struct lease *l,
			 bool stays, struct error *e);
static void take_out(struct manager *m, struct record *r);

static void undo(struct creation *n)
{
	struct error late = { 0 };

	manager_lock(n->m);
	snapshot_keys_remove(n->m, n->r->snapshot->key);
	manager_unlock(n->m);
	if (n->written < 0)
		record_draft_undo(n->m, n->r, NULL, n->files);
	else if (write_removed(n->m, n->r, n->l, false, &late) == 0)
		take_out(n->m, n->r);
	else /* the rows stay, and what they need */
		record_draft_undo(n->m, n->r, NULL, false);
}

int snapshot_life_create(struct manager *m, const struct snapshot_request *request,
			 char **ret_mountpoint, struct error *e)
{
	cleanup(record_free) struct record *unborn = NULL;
	cleanup(free_ptr) char *mountpoint = NULL;
	struct creation n = { .m = m, .written = -ECANCELED };
	int code = snapshot_keys_check("key", request->key, e);

	if (code == 0)
		code = build_record(request, &unborn, e);
	if (code < 0)
		return code;
	n.r = unborn;
	manager_lock(m);
	code = reserve_key(m, request, &unborn, &n.l, e);
	manager_unlock(m);
	if (code < 0)
		return code;
	unborn = NULL; /* the graph's */

	mountpoint = mount_list_path(m, n.r, false);
	code = mountpoint ? make(&n, e) : error_set(e, -ENOMEM, "out of memory");
	change_set_free(&n.rows);
	if (code < 0)
		undo(&n);
	manager_lock(m);
	if (code == 0) {
		n.r->state = RECORD_LIVE;
		manager_unreserve(m, n.r);
	}
	snapshot_keys_put_lease(m, n.l);
	manager_unlock(m);
	if (code < 0)
		return code;
	*ret_mountpoint = take_ptr(mountpoint);
	return 0;
}

/* ---- mounts ---- */

int snapshot_life_mount(struct manager *m, const char *key, char **ret_mountpoint,
			bool *ret_read_only, struct error *e)
{
	char name[MOUNT_POINT_NAME_SIZE];
	struct record *r = NULL;
	struct snapshot *s;
	int code;

	manager_lock(m);
	code = snapshot_keys_get(m, key, &s, e);
	if (code == 0 && s->kind == SNAPSHOT_COMMITTED)
		code = error_set(e, -EBUSY,
				 "requested snapshot %.256s not active or view: failed "
				 "precondition",
				 key);
	if (code == 0) {
		r = s->record;
		manager_reserve(r);
		*ret_read_only = s->kind == SNAPSHOT_VIEW;
	}
	manager_unlock(m);
	if (code < 0)
		return code;

	mount_list_point_name(r, false, name);
	if (r->mount && !overlay_is_mounted(m->mounts_fd, name))
		code = mount_detach(m, r, e); /* somebody else unmounted it */
	if (code == 0 && !r->mount)
		code = mount_attach(m, r, &r->id_map, e);
	if (code == 0 && !(*ret_mountpoint = mount_list_path(m, r, false)))
		code = error_set(e, -ENOMEM, "out of memory");
	manager_lock(m);
	manager_unreserve(m, r);
	manager_unlock(m);
	return code;
}

/* ---- commit ---- */

struct commit {
	struct manager *m;
	struct record *r;
	struct snapshot *committed; /* reserves the name; becomes the record's own */
	struct record *draft; /* the new labels, and as description the name */
	int64_t root_ctime_ns; /* when the upper was new; 0: not known */
	struct disk_usage size; /* without the layer's root directory */
};

/* With the lock. */
static int reserve_name(struct commit *commit, const char *key, const char *name, struct error *e)
{
	struct manager *m = commit->m;
	struct snapshot *s, *taken;
	bool waited;

	manager_assert_locked(commit->m);
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
	if (snapshot_keys_insert(m, commit->committed) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	commit->r = s->record;
	commit->committed->record = s->record;
	commit->root_ctime_ns = s->record->mount ? s->record->mount->root_ctime_ns : 0;
	manager_reserve(s->record);
	return 0;
}

/* What it takes, and that it is on the disk. Nothing has to be written for an upper in which
 * nothing is: its own directory was there before the snapshot was acknowledged. */
static int measure_and_sync(struct commit *commit, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	struct stat root;
	int code = store_files_open_layer(commit->m, commit->r->layer->name, &fd, e);

	if (code == 0)
		code = disk_walk(fd, NULL, &commit->size, e);
	if (code < 0)
		return code;
	if (fstat(fd, &root) < 0)
		return error_set(e, -errno, "the layer's root: %s", strerror(errno));
	if ((commit->size.inodes > 0 || ctime_ns(&root) != commit->root_ctime_ns) && syncfs(fd) < 0)
		return error_set(e, -errno, "write what is in the snapshot to the disk: %s",
				 strerror(errno));
	commit->committed->size_bytes =
		commit->size.allocated_bytes + snapshot_keys_root_bytes(&root);
	commit->committed->inodes = commit->size.inodes + 1;
	return 0;
}

static int write_committed(struct commit *commit, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *r = commit->r;

	record_rows_set_committed(&c, r->id, commit->draft->description);
	record_rows_delete_labels(&c, r->id);
	record_rows_add_labels(&c, r->id, commit->draft->labels, commit->draft->label_count);
	snapshot_rows_set(&c, commit->committed);
	manager_lock(commit->m);
	r->layer->allocated_bytes = commit->size.allocated_bytes;
	r->layer->apparent_bytes = commit->size.apparent_bytes;
	r->layer->inodes = commit->size.inodes;
	r->layer->size_known = r->layer->measured = true;
	layer_rows_update(&c, r->layer);
	manager_unlock(commit->m);
	return change_set_write(&c, commit->m->database, DATABASE_DURABLE, e);
}

/* With the lock. */
static void publish_committed(struct commit *commit)
{
	struct record *r = commit->r;

	manager_assert_locked(commit->m);
	snapshot_keys_remove(commit->m, r->snapshot->key);
	snapshot_free(r->snapshot);
	r->snapshot = commit->committed;
	r->is_mutable = false;
	record_swap_labels(r, commit->draft);
	free(r->description);
	r->description = take_ptr(commit->draft->description);
}

static int commit_reserved(struct commit *commit, struct error *e)
{
	struct manager *m = commit->m;
	struct error late = { 0 };
	int code = mount_detach_freeze(m, commit->r, true, e);

	if (code < 0)
		return code;
	code = measure_and_sync(commit, e);
	if (code == 0)
		code = write_committed(commit, e);
	if (code < 0 && mount_detach_freeze(m, commit->r, false, &late) < 0)
		manager_report(m, true, "record=%s stays read-only: %s", commit->r->id, late.text);
	return code;
}

int snapshot_life_commit(struct manager *m, const char *key, const char *name,
			 const struct record_label *labels, size_t label_count, struct error *e)
{
	cleanup(record_free) struct record *draft = NULL;
	struct commit commit = { .m = m };
	struct unmount_task task = { 0 };
	int code = snapshot_keys_check("name", name, e);

	if (code == 0)
		code = snapshot_keys_draft(labels, label_count, &draft, e);
	if (code < 0)
		return code;
	free(draft->description);
	draft->description = snapshot_keys_describe(name);
	commit.draft = draft;
	commit.committed = new_snapshot(name, SNAPSHOT_COMMITTED);
	if (!draft->description || !commit.committed) {
		snapshot_free(commit.committed);
		return error_set(e, -ENOMEM, "out of memory");
	}
	manager_lock(m);
	code = reserve_name(&commit, key, name, e);
	manager_unlock(m);
	if (code < 0) {
		snapshot_free(commit.committed);
		return code;
	}
	code = commit_reserved(&commit, e);
	if (code == 0)
		mount_detach_later(m, commit.r, &task);
	manager_lock(m);
	if (code == 0) {
		publish_committed(&commit);
	} else {
		snapshot_keys_remove(m, commit.committed->key);
		snapshot_free(commit.committed);
	}
	manager_unlock(m);
	if (task.mounted)
		unmount_queue_add(m, &task); /* before anybody can mount what is on top of it */
	manager_lock(m);
	manager_unreserve(m, commit.r);
	manager_unlock(m);
	return code < 0 ? error_context(e, "failed to commit snapshot") : 0;
}

/* ---- remove ---- */

static bool has_snapshot_child(const struct record *r)
{
	for (const struct record *child = r->first_child; child; child = child->next_sibling)
		if (child->snapshot)
			return true;
	return false;
}

/* Somebody besides containerd: then only the snapshot goes, and the record is left to Varve. */
static bool is_needed(const struct record *r, const struct hold *hold)
{
	return r->refs > hold->refs || r->pinned || r->first_child;
}

static int write_removed(struct manager *m, const struct record *r, const struct lease *l,
			 bool stays, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	if (stays) {
		snapshot_rows_delete(&c, r->id);
		lease_rows_set_hold(&c, l->name, r->id, 0, 0);
	} else {
		record_rows_delete(&c, r->id);
		layer_rows_delete(&c, r->layer->name);
	}
	lease_rows_delete_empty(&c, l->name);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

static void let_go(struct manager *m, struct record *r)
{
	manager_lock(m);
	(void)record_refs_drop(r, snapshot_keys_hold(r)->lease); /* which has one */
	snapshot_free(r->snapshot);
	r->snapshot = NULL;
	manager_unlock(m);
	/* Whoever is in it keeps the mount; housekeeping tries again. */
	if (r->refs == 0 && r->mount && mount_detach(m, r, NULL) < 0)
		r->mount->unwanted = true;
	manager_lock(m);
	manager_unreserve(m, r);
	manager_unlock(m);
}

/* The record is reserved, and neither its rows nor its key are to be found any more. */
static void take_out(struct manager *m, struct record *r)
{
	struct unmount_task task = { .discard = true };

	mount_detach_later(m, r, &task);
	manager_lock(m);
	record_refs_clear(r);
	record_graph_remove(m->graph, r);
	pthread_cond_broadcast(&m->idle);
	manager_unlock(m);
	unmount_queue_add(m, &task);
}

int snapshot_life_remove(struct manager *m, const char *key, struct error *e)
{
	struct lease *lease = NULL;
	struct record *r = NULL;
	struct snapshot *s;
	bool stays = false;
	int code;

	manager_lock(m);
	code = snapshot_keys_get(m, key, &s, e);
	if (code == 0 && has_snapshot_child(s->record))
		code = error_set(e, -ENOTEMPTY,
				 "cannot remove snapshot with child: failed precondition");
	if (code == 0) {
		r = s->record;
		lease = snapshot_keys_hold(r)->lease;
		lease->users++;
		stays = is_needed(r, snapshot_keys_hold(r));
		manager_reserve(r);
	}
	manager_unlock(m);
	if (code < 0)
		return error_context(e, "failed to remove");
	code = write_removed(m, r, lease, stays, e);
	manager_lock(m);
	if (code == 0)
		snapshot_keys_remove(m, key);
	else
		manager_unreserve(m, r);
	manager_unlock(m);
	if (code == 0 && stays)
		let_go(m, r);
	else if (code == 0)
		take_out(m, r);
	manager_lock(m);
	snapshot_keys_put_lease(m, lease);
	manager_unlock(m);
	return code;
}

void snapshot_life_clean_up(struct manager *m)
{
	unmount_queue_drain(m);
	trash_wake(m);
	trash_drain(m);
}
