/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be done now and then, without being asked. */
#include "manager/housekeeping.h"

#include <string.h>

#include "base/clock.h"
#include "manager/content/content_blobs.h"
#include "manager/records/leases.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/records/record_delete.h"
#include "manager/mounts/counter_fold.h"

#define COLLECT_INTERVAL_NS (600 * NS_PER_S)

static void end_expired_leases(struct manager *m)
{
	int64_t now = clock_wall_ns();

	for (;;) {
		cleanup(free_ptr) char *name = NULL;
		struct error e = { 0 };
		size_t position = 0;
		struct lease *l;

		manager_lock(m);
		while (!name && (l = hashmap_next(m->leases, &position)))
			if (l->expires_ns && l->expires_ns <= now && !l->hidden)
				name = strdup(l->name);
		manager_unlock(m);
		if (!name)
			return;
		if (leases_remove(m, name, &e) < 0) {
			manager_report(m, true, "end expired lease '%s': %s", name, e.text);
			return;
		}
		manager_report(m, false, "lease '%s' has expired", name);
	}
}

/* Unmounts what nobody holds and somebody was in when it was released. */
static void end_unwanted_mounts(struct manager *m)
{
	manager_lock(m);
	for (struct mount *mount = m->mounts; mount; mount = mount->next) {
		struct record *r = mount->record;
		bool gone = false;

		if (!mount->unwanted || !r || r->busy)
			continue;
		if (record_is_held(r)) {
			mount->unwanted = false;
			continue;
		}
		manager_reserve(r);
		manager_unlock(m);
		if (mount_detach(m, r, NULL) == 0 && record_delete_is_due(r))
			gone = record_delete_reserved(m, &r, 1, NULL) == 0;
		manager_lock(m);
		if (!gone) {
			m->deletions_deferred |= !r->mount;
			manager_unreserve(m, r);
		}
		break; /* the list has changed; the next run looks at the others */
	}
	manager_unlock(m);
}

/* With the lock: a record that was to be deleted, and whose layer no superblock has any more; NULL:
 * none. *ret_left: others still wait. */
static struct record *next_deferred(struct manager *m, bool *ret_left)
{
	size_t at = 0;
	struct record *r;

	*ret_left = false;
	while ((r = record_graph_next(m->graph, &at))) {
		if (r->state != RECORD_LIVE || !r->is_mutable || !record_delete_is_due(r))
			continue;
		if (!r->busy && !r->layer->lingering)
			return r;
		*ret_left = true;
	}
	return NULL;
}

static void delete_deferred(struct manager *m)
{
	struct record *r;
	bool left = true;

	manager_lock(m);
	while (m->deletions_deferred && (r = next_deferred(m, &left))) {
		struct error e = { 0 };
		int code;

		manager_reserve(r);
		manager_unlock(m);
		code = record_delete_reserved(m, &r, 1, &e);
		manager_lock(m);
		if (code < 0) {
			manager_unreserve(m, r);
			left = true; /* the next run tries again */
			break;
		}
	}
	m->deletions_deferred &= left;
	manager_unlock(m);
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

void housekeeping_run(struct manager *m)
{
	mount_lingering_check(m);
	counter_fold(m);
	collect_blobs(m);
	end_expired_leases(m);
	end_unwanted_mounts(m);
	delete_deferred(m);
}
