/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of records and their layers.
 *
 *   operation   database              files and mounts         in between, after a crash
 *   delete      row gone, durable     unmount before, trash    the layer without a row goes
 */
#include "manager/records/record_delete.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#include "manager/history/history.h"
#include "manager/state/reservation.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_elsewhere.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/records/record_holders.h"
#include "manager/state/snapshot_lease.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"

static bool owns_layer(const struct record *r)
{
	return r->layer->owners == (r->twin ? 2U : 1U);
}

/* Whether the layer has no owner once the first `count` of the records are gone: the last of them
 * takes it along. */
static bool is_last_owner(struct record *const *records, size_t count)
{
	const struct layer *layer = records[count - 1]->layer;
	unsigned going = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i]->layer == layer)
			going += records[i]->twin ? 2 : 1;
	return layer->owners == going;
}

/* When and why records go. */
struct departure {
	const char *by; /* NULL: their owner removes them */
	int64_t at_ns;
};

static int detach_both(struct manager *m, struct record *r, struct error *e)
{
	int code = mount_detach(m, r, e);

	return code == 0 && r->twin ? mount_detach(m, r->twin, e) : code;
}

static bool add_deletion(struct manager *m, struct change_set *c, struct record *const *records,
			 size_t count, const struct departure *departure)
{
	const struct record *r = records[count - 1];
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	bool with_layer = is_last_owner(records, count);

	if (with_layer)
		history_departing(locked, r, departure->by, departure->at_ns, c);
	record_rows_delete(c, r->id);
	if (r->twin)
		record_rows_delete(c, r->twin->id);
	if (with_layer)
		layer_rows_delete(c, r->layer->name);
	return with_layer;
}

/* Of the last of the first `count` records. */
static void delete_rows(struct manager *m, struct change_set *c, struct record *const *records,
			size_t count, const struct departure *departure)
{
	if (add_deletion(m, c, records, count, departure))
		store_files_leave(m, records[count - 1]->layer->name);
}

/* From here on the records are gone: recover discards a layer that has no record. */
static void discard_layers(struct manager *m, struct record *const *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct error late = { 0 };

		if (is_last_owner(records, i + 1) &&
		    store_files_discard(m, records[i]->layer->name, &late) < 0)
			manager_report(m, true,
				       "record=%s deleted, but %s; the next start will clean up",
				       records[i]->id, late.text);
	}
}

/* What is evicted is told by the eviction, which knows why. With the lock. */
static void tell_removed(struct manager *m, const struct record *r)
{
	struct ring_event event = { .kind = EVENT_REMOVED, .bytes = -1 };

	manager_assert_locked(m);
	memcpy(event.record, r->id, sizeof(event.record));
	memcpy(event.layer, r->layer->name, sizeof(event.layer));
	event_ring_add(m->events, &event);
}

int record_delete_evicted(struct manager *m, struct record *const *records, size_t count,
			  const char *by, struct error *e)
{
	struct departure departure = { .by = by, .at_ns = clock_wall_ns() };
	cleanup(change_set_free) struct change_set c = { 0 };
	int code;

	manager_assert_unlocked(m);
	for (size_t i = 0; i < count; i++) {
		code = detach_both(m, records[i], e);
		if (code == 0 && is_last_owner(records, i + 1))
			code = mount_lingering_refuse(m, records[i], false, e);
		if (code < 0)
			return code;
		delete_rows(m, &c, records, i + 1, &departure);
	}
	code = mount_elsewhere_refuse(m, records, count, e);
	if (code < 0)
		return code;
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return error_context(e, "delete %s", records[0]->id);
	discard_layers(m, records, count);

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	for (size_t i = 0; i < count; i++) {
		if (!by)
			tell_removed(locked, records[i]);
		if (owns_layer(records[i]))
			history_departed(locked, records[i]->layer->name, by, departure.at_ns);
		if (records[i]->twin)
			record_graph_remove(locked->graph, records[i]->twin);
		record_graph_remove(locked->graph, records[i]);
	}
	pthread_cond_broadcast(&locked->idle);
	return 0;
}

int record_delete_reserved(struct manager *m, struct record *const *records, size_t count,
			   struct error *e)
{
	return record_delete_evicted(m, records, count, NULL, e);
}

/* After its last ref: an immutable twin takes its mutable half along, unless one of them is to be
 * retained or pinned; a mutable record that is neither goes with what was never committed. */
bool record_delete_is_due(const struct record *r)
{
	if (r->refs > 0 || (r->twin && r->twin->refs > 0) || r->first_child || record_is_pinned(r))
		return false;
	if (r->twin)
		return !r->retain && !r->twin->retain;
	return r->is_mutable && !r->retain;
}

/* With the lock. */
static int check_can_delete(const struct record *r, struct error *e)
{
	char holders[160];
	int code = snapshot_lease_refuse_record(r, "containerd removes it", e);

	manager_assert_some_locked();
	if (code < 0)
		return code;
	if (r->refs || (r->twin && r->twin->refs)) {
		record_holders_describe(r->refs ? r : r->twin, holders, sizeof(holders));
		return error_set(e, -EBUSY,
				 "record %s is in use: %s holds it (varve release %.12s)", r->id,
				 holders, r->id);
	}
	if (r->extractions > 0)
		return error_set(e, -EBUSY, "record %s is being extracted or exported", r->id);
	if (record_is_pinned(r))
		return error_set(e, -EBUSY, "record %s is pinned (varve unpin %.12s)", r->id,
				 r->id);
	if (r->first_child)
		return error_set(e, -ENOTEMPTY, "record %s has children, %s among them", r->id,
				 r->first_child->id);
	return 0;
}

int record_delete(struct manager *m, const char *id, struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reservation_find_checked(m, id, check_can_delete, &reserved, e);

	if (code < 0)
		return code;
	code = record_delete_reserved(m, &reserved.record, 1, e);
	if (code == 0)
		reservation_forget(&reserved);
	return code;
}
