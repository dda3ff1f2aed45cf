/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   operation   files and mounts    database            in between, after a crash
 *   remove      –                   rows gone, durable  layer and mount are strangers: discarded
 *
 * The files, and the mount if the agent made one, are left to the unmount queue.
 */
#include "manager/snapshots/snapshot_remove.h"

#include <errno.h>

#include "manager/mounts/mount_detach.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/trash.h"
#include "store/layer_rows.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"

struct removal {
	struct record *r; /* reserved */
	struct lease *lease; /* of its namespace; used */
	bool stays; /* only the snapshot ends */
};

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

int snapshot_remove_rows(struct manager *m, const struct record *r, const struct lease *l,
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

static void drop_hold(struct manager *m, struct record *r)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	manager_assert_locked(locked);
	(void)record_refs_drop(r, snapshot_keys_hold(r)->lease); /* it holds one */
	snapshot_free(r->snapshot);
	r->snapshot = NULL;
}

/* The record stays, as one of Varve's own. */
static void end_snapshot(struct manager *m, struct record *r)
{
	bool unwanted;

	drop_hold(m, r);
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
	record_graph_remove(locked->graph, r);
	pthread_cond_broadcast(&locked->idle);
}

void snapshot_remove_record(struct manager *m, struct record *r)
{
	struct unmount_task task = { .discard = true };

	manager_assert_unlocked(m);
	mount_detach_later(m, r, &task);
	leave_graph(m, r);
	unmount_queue_add(m, &task);
}

static int begin(struct manager *m, const char *key, struct removal *ret_removal, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot *s;
	struct hold *hold;
	int code = snapshot_keys_get(locked, key, &s, e);

	if (code < 0)
		return error_context(e, "failed to remove");
	if (has_snapshot_child(s->record)) {
		error_set(e, -ENOTEMPTY, "cannot remove snapshot with child: failed precondition");
		return error_context(e, "failed to remove");
	}
	hold = snapshot_keys_hold(s->record);
	hold->lease->users++;
	*ret_removal = (struct removal){ .r = s->record,
					 .lease = hold->lease,
					 .stays = is_needed(s->record, hold) };
	manager_reserve(s->record);
	return 0;
}

/* The key is free from here on; or, when the rows could not be written, nothing has changed. */
static void end_key(struct manager *m, const char *key, const struct removal *removal, bool written)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (written)
		snapshot_keys_remove(locked, key);
	else
		manager_unreserve(locked, removal->r);
}

static int remove_begun(struct manager *m, const char *key, const struct removal *removal,
			struct error *e)
{
	int code = snapshot_remove_rows(m, removal->r, removal->lease, removal->stays, e);

	end_key(m, key, removal, code == 0);
	if (code < 0)
		return code;
	if (removal->stays)
		end_snapshot(m, removal->r);
	else
		snapshot_remove_record(m, removal->r);
	return 0;
}

int snapshot_remove(struct manager *m, const char *key, struct error *e)
{
	struct removal removal = { 0 };
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
