/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   operation   files and mounts     database   in between, after a crash
 *   create      place layer, mount   live       layer and mount are strangers: discarded
 *
 * The layer's directories are there first. Then the database writes, while the kernel mounts if it
 * is the agent that mounts: a crash leaves no snapshot, or one that containerd does not know of,
 * whose files are there.
 *
 * The rows are on the disk soon after the answer, and before anything that is built on them: the
 * log of the database is written in order, so the commit of the snapshot, or of any other, brings
 * them along. A power cut before that leaves no snapshot, and takes what a client had written into
 * it, which no file system would have kept either.
 */
#include "manager/snapshots/snapshot_create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "manager/mounts/mount_attach.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/records/record_draft.h"
#include "manager/snapshots/snapshot_container.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/snapshots/snapshot_known.h"
#include "manager/snapshots/snapshot_remove.h"
#include "manager/snapshots/spare_layers.h"
#include "manager/state/lease_table.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"

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
		r->snapshot = snapshot_keys_new(q->key, q->kind);
	if (!r || !r->snapshot)
		return error_set(e, -ENOMEM, "out of memory");
	r->snapshot->record = r;
	r->is_mutable = q->kind == SNAPSHOT_ACTIVE;
	*ret_record = take_ptr(r);
	return 0;
}

/* With the lock, which is given back when *ret_waited is set. */
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

/* With the lock: the parent, and that the key is free, both at one moment. -EEXIST. */
static int check_key(struct manager *m, const struct snapshot_request *q,
		     struct record **ret_parent, struct error *e)
{
	struct snapshot *taken;
	bool waited;

	manager_assert_locked(m);
	do {
		int code;

		waited = false;
		code = find_parent(m, q, ret_parent, &waited, e);
		if (code < 0)
			return code;
		taken = snapshot_keys_find(m, q->key, &waited);
	} while (waited);
	return taken ? error_set(e, -EEXIST, "snapshot %.256s: already exists", q->key) : 0;
}

/* With the lock: *unborn gets its place in the graph, and its key; then it is NULL. */
static int insert(struct manager *m, struct record **unborn, struct record *parent, struct lease *l,
		  const struct spare_layer *spare, struct error *e)
{
	struct record *r = *unborn;
	int code = record_draft_insert(m, unborn, parent, l, spare->name, e);

	manager_assert_locked(m);
	if (code < 0)
		return code;
	*unborn = NULL;
	if (snapshot_keys_insert(m, r->snapshot) == 0)
		return 0;
	record_refs_clear(r);
	record_graph_remove(m->graph, r);
	return error_set(e, -ENOMEM, "out of memory");
}

static int reserve_key(struct manager *m, const struct snapshot_request *q,
		       const struct spare_layer *spare, struct record **unborn,
		       struct lease **ret_lease, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *parent = NULL;
	int code = check_key(locked, q, &parent, e);

	if (code < 0)
		return code;
	code = snapshot_keys_lease(locked, q->key, ret_lease, e);
	if (code < 0)
		return code;
	code = insert(locked, unborn, parent, *ret_lease, spare, e);
	if (code < 0)
		snapshot_keys_put_lease(locked, *ret_lease);
	return code;
}

struct creation {
	struct manager *m;
	struct record *r;
	struct lease *l;
	struct spare_layer spare; /* becomes the layer */
	bool durable; /* the layer's directories, as they are when nothing is written */
	struct change_set rows;
	bool files; /* have been made */
	int written; /* 0: the rows are; else why not */
	struct error e; /* of that */
};

static int make_files(struct creation *n, struct error *e)
{
	if (!*n->spare.name || !spare_layers_place(n->m, &n->spare))
		return store_files_make(n->m, n->r->layer->name, e);
	n->durable = n->spare.durable;
	return 0;
}

/* The layer's root gets the owner of the parent's. */
static int inherit_owner(struct creation *n, struct error *e)
{
	struct manager *m = n->m;
	const struct record *r = n->r;
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
	n->durable = false;
	store_files_layer_path(r->layer->name, path);
	if (fchownat(m->root_fd, path, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, -errno, "change the owner of %s/%s: %s", m->root, path,
				 strerror(errno));
	return 0;
}

static void add_rows(struct creation *n)
{
	layer_rows_insert(&n->rows, n->r->layer->name);
	record_rows_insert(&n->rows, n->r, RECORD_LIVE);
	lease_rows_ensure(&n->rows, n->l);
	manager_lock(n->m);
	lease_table_save_hold(&n->rows, n->r, n->l);
	snapshot_container_note(n->m, n->r, &n->rows);
	manager_unlock(n->m);
	snapshot_rows_set(&n->rows, n->r->snapshot);
}

static void *write_rows(void *arg)
{
	struct creation *n = arg;

	n->written = change_set_write(&n->rows, n->m->database, DATABASE_RELAXED, &n->e);
	return NULL;
}

/* The disk and the kernel work at the same time. Takes the mount; NULL: the client will mount. */
static int write_and_mount(struct creation *n, struct mount *mount, struct error *e)
{
	pthread_t thread;
	bool parallel = mount && pthread_create(&thread, NULL, write_rows, n) == 0;
	int code = mount ? mount_attach_prepared(n->m, n->r, mount, e) : 0;

	if (parallel)
		pthread_join(thread, NULL);
	else if (code == 0)
		(void)write_rows(n);
	if (code < 0)
		return code;
	return n->written < 0 ? error_set(e, n->written, "%s", n->e.text) : 0;
}

/* So that a commit can tell an upper in which nothing was written, which it need not write to the
 * disk. */
static void note_root_time(struct creation *n)
{
	char path[STORE_FILES_PATH_SIZE];
	struct stat st;

	store_files_layer_path(n->r->layer->name, path);
	if (fstatat(n->m->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		n->r->snapshot->root_ctime_ns = snapshot_keys_root_ctime_ns(&st);
}

static int make(struct creation *n, struct error *e)
{
	struct mount *mount = NULL;
	int code = make_files(n, e);

	if (code < 0)
		return code;
	n->files = true;
	code = inherit_owner(n, e);
	if (code < 0)
		return code;
	if (n->m->agent_mounts) {
		mount = mount_attach_prepare(n->m, n->r, &n->r->id_map, &n->rows);
		if (!mount)
			return error_set(e, -ENOMEM, "out of memory");
	} else if (n->r->parent) {
		/* Of a layer that has just been committed an agent's mount may still be the owner.
		 */
		unmount_queue_wait(n->m, n->r->parent->layer->name);
	}
	add_rows(n);
	code = write_and_mount(n, mount, e);
	if (code < 0)
		return code;
	spare_layers_settle_soon(n->m);
	if (n->durable)
		note_root_time(n);
	return 0;
}

static void undo(struct creation *n)
{
	struct error late = { 0 };

	manager_lock(n->m);
	snapshot_keys_remove(n->m, n->r->snapshot->key);
	manager_unlock(n->m);
	if (n->written < 0)
		record_draft_undo(n->m, n->r, NULL, n->files);
	else if (snapshot_remove_rows(n->m, n->r, n->l, &late) == 0)
		snapshot_remove_record(n->m, n->r);
	else /* the rows stay, and the files that they need */
		record_draft_undo(n->m, n->r, NULL, false);
}

static void finish(struct creation *n, bool made)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(n->m);

	if (made) {
		n->r->state = RECORD_LIVE;
		manager_unreserve(locked, n->r);
	}
	snapshot_keys_put_lease(locked, n->l);
}

int snapshot_create(struct manager *m, const struct snapshot_request *request,
		    struct snapshot_mount *ret_mount, struct error *e)
{
	cleanup(record_free) struct record *unborn = NULL;
	struct creation n = { .m = m, .written = -ECANCELED };
	int code = snapshot_keys_check("key", request->key, e);

	if (code < 0)
		return code;
	code = snapshot_known_find(m, request, e);
	if (code < 0)
		return code;
	code = build_record(request, &unborn, e);
	if (code < 0)
		return code;
	n.r = unborn;
	n.spare = spare_layers_take(m);
	code = reserve_key(m, request, &n.spare, &unborn, &n.l, e);
	if (code < 0) {
		spare_layers_give_back(m, &n.spare);
		return code;
	}

	code = make(&n, e);
	change_set_free(&n.rows);
	if (code == 0)
		code = snapshot_answer(m, n.r, ret_mount, e);
	if (code < 0)
		undo(&n);
	finish(&n, code == 0);
	return code;
}
