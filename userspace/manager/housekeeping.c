/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/housekeeping.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "manager/content/content_blobs.h"
#include "manager/records/leases.h"
#include "manager/numbers/program_meter.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/records/record_delete.h"
#include "manager/mounts/counter_fold.h"
#include "store/reader_rows.h"
#include "usage/usage_cgroups.h"
#include "usage/usage_upkeep_names.h"
#include "usage/usage_reader.h"

#define COLLECT_INTERVAL_NS (600 * NS_PER_S)

/* The name of a lease that has expired; NULL: none. */
static char *find_expired_lease(struct manager *m, int64_t now_ns)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct lease *l;
	size_t position = 0;

	while ((l = hashmap_next(locked->leases, &position)))
		if (l->expires_ns && l->expires_ns <= now_ns && !l->hidden)
			return strdup(l->name);
	return NULL;
}

static void end_expired_leases(struct manager *m)
{
	int64_t now_ns = clock_wall_ns();

	for (;;) {
		cleanup(free_ptr) char *name = find_expired_lease(m, now_ns);
		struct error e = { 0 };

		if (!name)
			return;
		if (leases_remove(m, name, &e) < 0) {
			manager_report(m, true, "end expired lease '%s': %s", name, e.text);
			return;
		}
		manager_report(m, false, "lease '%s' has expired", name);
	}
}

/* A record that is not held, and whose mount was in use when it was released; NULL: none. */
static struct record *reserve_unwanted(struct manager *m)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	for (struct mount *mount = locked->mounts; mount; mount = mount->next) {
		struct record *r = mount->record;

		if (!mount->unwanted || !r || r->busy)
			continue;
		if (!record_is_held(r)) {
			manager_reserve(r);
			return r;
		}
		mount->unwanted = false;
	}
	return NULL;
}

/* One in each run. */
static void end_unwanted_mount(struct manager *m)
{
	struct record *r = reserve_unwanted(m);

	if (!r)
		return;
	if (mount_detach(m, r, NULL) == 0 && record_delete_is_due(r) &&
	    record_delete_reserved(m, &r, 1, NULL) == 0)
		return;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	locked->deletions_deferred |= !r->mount;
	manager_unreserve(locked, r);
}

/* A record that was to be deleted, and whose layer no superblock has any more; NULL: none. */
static struct record *reserve_deferred(struct manager *m)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	bool left = false;
	size_t at = 0;
	struct record *r;

	if (!locked->deletions_deferred)
		return NULL;
	while ((r = record_graph_next(locked->graph, &at))) {
		if (r->state != RECORD_LIVE || !r->is_mutable || !record_delete_is_due(r))
			continue;
		if (!r->busy && !r->layer->lingering) {
			manager_reserve(r);
			return r;
		}
		left = true;
	}
	locked->deletions_deferred = left;
	return NULL;
}

static void delete_deferred(struct manager *m)
{
	struct record *r;

	while ((r = reserve_deferred(m))) {
		struct error e = { 0 };

		if (record_delete_reserved(m, &r, 1, &e) == 0)
			continue;

		cleanup(manager_unlock) struct manager *locked = manager_lock(m);
		manager_unreserve(locked, r);
		return; /* the next run tries again */
	}
}

/* Now and then: it reads all rows of contents. */
static void collect_blobs(struct manager *m)
{
	struct error e = { 0 };
	int64_t now = clock_boot_ns();

	if (now - atomic_load(&m->collected_boot_ns) < COLLECT_INTERVAL_NS)
		return;
	atomic_store(&m->collected_boot_ns, now);
	if (content_blobs_collect_unneeded(m, &e) < 0)
		manager_report(m, true, "%s; it will be tried again", e.text);
}

/* Rows of readers that read nothing for long, now and then. */
static void expire_readers(struct manager *m)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int64_t now = clock_boot_ns(), every = COLLECT_INTERVAL_NS;
	struct error e = { 0 };

	usage_cgroups_sweep(m->usage);
	if (m->keep_readers_ns < every)
		every = m->keep_readers_ns;
	if (!m->keep_readers_ns || now - atomic_load(&m->readers_expired_boot_ns) < every)
		return;
	atomic_store(&m->readers_expired_boot_ns, now);
	reader_rows_expire(&c, clock_wall_ns() - m->keep_readers_ns);
	if (change_set_write(&c, m->database, DATABASE_RELAXED, &e) < 0)
		manager_report(m, true, "delete old rows of readers: %s; it will be tried again",
			       e.text);
}

static void refresh_upkeep(struct manager *m)
{
	struct error e = { 0 };

	if (usage_upkeep_names_refresh(m->usage, m->upkeep, m->upkeep_count, &e) < 0)
		manager_report(m, true, "[accounting] upkeep: %s; it will be tried again", e.text);
}

static void tell_lost(struct manager *m)
{
	struct usage_lost lost = usage_read_lost(m->usage);
	uint64_t now = lost.cells + lost.files, seen = atomic_exchange(&m->lost_seen, now);
	struct ring_event event = { .kind = EVENT_LOST, .bytes = -1 };

	if (now <= seen)
		return;
	(void)snprintf(event.detail, sizeof(event.detail),
		       "%" PRIu64 " accesses could not be counted, or their files are not known",
		       now - seen);
	event_ring_add(m->events, &event);
}

void housekeeping_run(struct manager *m)
{
	refresh_upkeep(m);
	mount_lingering_check(m);
	counter_fold(m);
	expire_readers(m);
	tell_lost(m);
	program_meter_expire(m);
	collect_blobs(m);
	end_expired_leases(m);
	end_unwanted_mount(m);
	delete_deferred(m);
}
