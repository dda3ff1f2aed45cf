/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   operation   files and mounts    database            in between, after a crash
 *   remove      –                   rows gone, durable  layer and mount are strangers: discarded
 *   keep        –                   one transaction     a snapshot still, or a kept layer
 *
 * The files, and the mount if the agent made one, are left to the unmount queue. All records that
 * share the layer are reserved, so that one of them is the last.
 */
#include "manager/snapshots/snapshot_remove.h"

#include <errno.h>

#include "manager/mounts/mount_detach.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/snapshots/snapshot_container.h"
#include "manager/snapshots/snapshot_kept.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/store_disk.h"
#include "manager/state/store_files.h"
#include "manager/state/trash.h"
#include "store/layer_rows.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"

struct removal {
	struct record *r; /* reserved */
	struct lease *lease; /* of its namespace; used */
	bool stays; /* only the snapshot ends */
	struct change_set rows;
	struct record *kept; /* how it stays as a kept layer; NULL: as it is, or not at all */
};

static void removal_free(struct removal *removal)
{
	change_set_free(&removal->rows);
	record_free(removal->kept);
}
DEFINE_CLEANUP_VALUE(struct removal, removal_free)

static bool has_snapshot_child(const struct record *r)
{
	for (const struct record *child = r->first_child; child; child = child->next_sibling)
		if (child->snapshot)
			return true;
	return false;
}

/* By more than containerd: then only the snapshot ends, and the record is left to Varve. */
static bool is_needed(const struct record *r, const struct hold *hold)
{
	return r->refs > hold->refs || r->pinned || r->first_child;
}

static void add_end_of_snapshot(struct change_set *c, const struct removal *removal)
{
	const struct record *r = removal->r;

	snapshot_rows_delete(c, r->id);
	lease_rows_set_hold(c, removal->lease->name, r->id, 0, 0);
	if (removal->kept)
		snapshot_kept_add_rows(c, r, removal->kept);
}

static int write_removal(struct manager *m, struct removal *removal, struct error *e)
{
	struct change_set *c = &removal->rows;

	if (removal->stays) {
		add_end_of_snapshot(c, removal);
	} else {
		record_rows_delete(c, removal->r->id);
		if (removal->r->layer->owners == 1) {
			store_files_leave(m, removal->r->layer->name);
			layer_rows_delete(c, removal->r->layer->name);
		}
	}
	lease_rows_delete_empty(c, removal->lease->name);
	return change_set_write(c, m->database, DATABASE_DURABLE, e);
}

int snapshot_remove_rows(struct manager *m, struct record *r, struct lease *l, struct error *e)
{
	cleanup(removal_free) struct removal removal = { .r = r, .lease = l };

	return write_removal(m, &removal, e);
}

/* With the lock: waits while another thread works on a record that shares the layer. */
static bool wait_for_owners(struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	for (const struct record *other = r->layer->first_owner; other; other = other->next_owner) {
		if (other == r || !other->busy)
			continue;
		manager_wait(m);
		return true;
	}
	return false;
}

/* With the lock. */
static void reserve_owners(const struct record *r)
{
	manager_assert_some_locked();
	for (struct record *owner = r->layer->first_owner; owner; owner = owner->next_owner)
		manager_reserve(owner);
}

/* With the lock: gives back those that share the layer with the record. */
static void unreserve_others(struct manager *m, const struct record *r)
{
	for (struct record *other = r->layer->first_owner; other; other = other->next_owner)
		if (other != r)
			manager_unreserve(m, other);
}

static void drop_hold(struct manager *m, const struct removal *removal)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r = removal->r;

	if (removal->kept)
		snapshot_kept_publish(locked, r, removal->kept);
	(void)record_refs_drop(r, snapshot_keys_hold(r)->lease); /* it holds one */
	snapshot_free(r->snapshot);
	r->snapshot = NULL;
}

/* The record stays, as one of Varve's own. */
static void end_snapshot(struct manager *m, const struct removal *removal)
{
	struct record *r = removal->r;
	bool unwanted;

	drop_hold(m, removal);
	/* While a process uses the mount it stays: housekeeping tries again. */
	unwanted = r->refs == 0 && r->mount && mount_detach(m, r, NULL) < 0;
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	if (unwanted)
		r->mount->unwanted = true;
	manager_unreserve(locked, r);
}

static void leave_graph(struct manager *m, struct record *r)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	record_refs_clear(r);
	unreserve_others(locked, r);
	record_graph_remove(locked->graph, r);
	pthread_cond_broadcast(&locked->idle);
}

void snapshot_remove_record(struct manager *m, struct record *r)
{
	struct unmount_task task = { .discard = r->layer->owners == 1 };

	manager_assert_unlocked(m);
	mount_detach_later(m, r, &task);
	leave_graph(m, r);
	unmount_queue_add(m, &task);
}

/* With the lock. */
static int find(struct manager *m, const char *key, struct snapshot **ret_snapshot, struct error *e)
{
	int code;

	do {
		code = snapshot_keys_get(m, key, ret_snapshot, e);
	} while (code == 0 && wait_for_owners(m, (*ret_snapshot)->record));
	if (code < 0)
		return code;
	if (has_snapshot_child((*ret_snapshot)->record))
		return error_set(e, -ENOTEMPTY,
				 "cannot remove snapshot with child: failed precondition");
	return 0;
}

/* With the lock. */
static int plan_end(struct manager *m, const struct prune_disk *disk, struct removal *removal,
		    struct error *e)
{
	struct record *r = removal->r;
	const struct hold *hold = snapshot_keys_hold(r);

	removal->stays = is_needed(r, hold);
	if (r->refs > hold->refs || !snapshot_kept_is_wanted(m, r, disk))
		return 0;
	removal->stays = true;
	if (snapshot_kept_draft(m, r, &removal->kept) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int begin(struct manager *m, const char *key, struct removal *removal, struct error *e)
{
	const struct prune_disk disk = store_disk_read(m);
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot *s;
	int code = find(locked, key, &s, e);

	if (code < 0)
		return error_context(e, "failed to remove");
	removal->r = s->record;
	code = plan_end(locked, &disk, removal, e);
	if (code < 0)
		return code;
	removal->lease = snapshot_keys_hold(s->record)->lease;
	removal->lease->users++;
	reserve_owners(s->record);
	snapshot_container_note(locked, s->record, &removal->rows);
	return 0;
}

/* The key is free from here on; or, when the rows could not be written, nothing has changed. */
static void end_key(struct manager *m, const char *key, const struct removal *removal, bool written)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (!written || removal->stays)
		unreserve_others(locked, removal->r);
	if (written)
		snapshot_keys_remove(locked, key);
	else
		manager_unreserve(locked, removal->r);
}

static int remove_begun(struct manager *m, const char *key, struct removal *removal,
			struct error *e)
{
	int code = write_removal(m, removal, e);

	end_key(m, key, removal, code == 0);
	if (code < 0)
		return code;
	if (removal->stays)
		end_snapshot(m, removal);
	else
		snapshot_remove_record(m, removal->r);
	return 0;
}

int snapshot_remove(struct manager *m, const char *key, struct error *e)
{
	cleanup(removal_free) struct removal removal = { 0 };
	int code = begin(m, key, &removal, e);

	if (code < 0)
		return code;
	code = remove_begun(m, key, &removal, e);

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	snapshot_keys_put_lease(locked, removal.lease);
	return code;
}

void snapshot_remove_clean_up(struct manager *m)
{
	if (m->agent_mounts)
		unmount_queue_drain(m);
	trash_wake(m);
	if (m->agent_mounts)
		trash_drain(m);
}
