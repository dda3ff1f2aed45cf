/* SPDX-License-Identifier: Apache-2.0 */
/* Get and release: the refs that leases hold on records, and the uses that they count. */
#include "manager/records/record_hold.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "manager/state/reservation.h"
#include "manager/state/lease_use.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/records/record_commit.h"
#include "manager/records/record_delete.h"
#include "manager/records/record_holders.h"
#include "manager/state/snapshot_lease.h"
#include "store/record_rows.h"

/* What a release changes, so that it can be taken back. */
struct release_state {
	struct record before, twin_before; /* of these the use statistics only */
	bool counting;
};

static void count_use(struct manager *m, struct record *r, int64_t now)
{
	r->ref_uses++;
	r->last_ref_use_ns = now;
	/* A ref that mounted the record is no use by itself: the kernel knows what was read. */
	if (!r->mounted_while_held || usage_bpf_backend(m->usage) == USAGE_BACKEND_NONE) {
		r->hits++;
		r->last_hit_ns = now;
	}
}

static void copy_uses(struct record *to, const struct record *from)
{
	to->hits = from->hits;
	to->last_hit_ns = from->last_hit_ns;
	to->ref_uses = from->ref_uses;
	to->last_ref_use_ns = from->last_ref_use_ns;
}

static void take_back(struct record *r, struct lease *l, const struct release_state *s)
{
	bool mounted = r->mounted_while_held;

	if (record_refs_add(r, l, 1, s->counting ? 1 : 0) == 0)
		r->mounted_while_held = mounted;
	copy_uses(r, &s->before);
	if (r->twin)
		copy_uses(r->twin, &s->twin_before);
}

static void mark_unwanted(struct manager *m, struct record *r)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (r->mount)
		r->mount->unwanted = true;
}

static void defer_deletions(struct manager *m)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	locked->deletions_deferred = true;
}

static int write_release(struct manager *m, struct record *r, struct change_set *c, bool *goes,
			 struct error *e)
{
	if (*goes) {
		int code = record_delete_reserved(m, &r, 1, e);

		if (code != -EBUSY || r->mount || (r->twin && r->twin->mount))
			return code;
		/* It is unmounted, and its superblock lives on in another mount namespace: the ref
		 * ends now, and the record with that superblock. */
		*goes = false;
		defer_deletions(m);
	}
	/* First, since after a crash no agent would unmount a record without refs. While a process
	 * uses the mount it stays: housekeeping tries again, and prune keeps the record. */
	if (r->refs == 0 && r->mount && mount_detach(m, r, NULL) < 0)
		mark_unwanted(m, r);
	return change_set_write(c, m->database, DATABASE_RELAXED, e);
}

int record_hold_drop_ref(struct manager *m, struct record *r, struct lease *l, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	const struct hold *h = record_refs_find(r, l);
	struct release_state state = { .counting = h && h->counting_refs > 0 };
	int64_t now = clock_wall_ns();
	bool goes;
	int code;

	manager_assert_locked(m);
	if (!h)
		return error_set(e, -ENOENT, "lease '%s' holds no ref on record %s", l->name,
				 r->id);
	copy_uses(&state.before, r);
	if (r->twin)
		copy_uses(&state.twin_before, r->twin);
	if (record_refs_drop(r, l) == 1) {
		count_use(m, r, now);
		record_rows_set_uses(&c, r);
		if (r->twin) {
			copy_uses(r->twin, r);
			record_rows_set_uses(&c, r->twin);
		}
	}
	lease_table_save_hold(&c, r, l);
	goes = record_delete_is_due(r);
	manager_reserve(r);
	manager_unlock(m);
	code = write_release(m, r, &c, &goes, e);
	manager_lock(m);
	if (code < 0)
		take_back(r, l, &state);
	if (code < 0 || !goes)
		manager_unreserve(m, r);
	return code;
}

int record_hold_release(struct manager *m, const char *id, const struct lease_holder *holder,
			struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	struct lease *l;
	int code = manager_find(locked, id, &r, e);

	if (code < 0)
		return code;
	code = lease_table_find(locked, holder, &l, e);
	if (code < 0)
		return code;
	/* A client that made a record and committed it may still release it by its first id. */
	if (r->is_mutable && r->twin && !record_refs_find(r, l))
		r = r->twin;
	code = record_hold_drop_ref(locked, r, l, e);
	lease_table_put(locked, l);
	return code;
}

static int refuse_locked(const struct record *r, struct error *e)
{
	char holders[160];

	record_holders_describe(r->twin && r->twin->refs ? r->twin : r, holders, sizeof(holders));
	return error_set(e, -EBUSY, "record %s is locked: %s holds %s", r->id, holders,
			 r->twin && r->twin->refs ? "its committed half" : "it");
}

/* An unheld twin is discarded, so that the data can be written again. */
static int discard_twin(struct manager *m, struct record *r, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *twin = r->twin;
	int code = mount_detach(m, twin, e);

	if (code < 0)
		return code;
	record_rows_set_twin(&c, r->id, NULL);
	record_rows_delete(&c, twin->id);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	record_graph_remove(locked->graph, twin);
	return 0;
}

/* How many image references the record would have. */
static size_t count_image_refs(const struct record *r, const struct record_get_options *options)
{
	size_t count = r->image_ref_count;

	for (size_t i = 0; i < options->image_ref_count; i++)
		count += !record_has_image_ref(r, options->image_refs[i]);
	return count;
}

/* With the lock. A record that the caller names is refused more than the limit; one that an import
 * finds has had so many images that one more tells nothing. */
static int check_image_refs(const struct record *r, const struct record_get_options *options,
			    size_t *ret_added, struct error *e)
{
	size_t count = count_image_refs(r, options);

	manager_assert_some_locked();
	*ret_added = options->image_ref_count;
	if (count <= MANAGER_IMAGE_REFS_MAX || options->image_ref_count == 0)
		return 0;
	*ret_added = 0;
	if (options->spare_image_refs)
		return 0;
	return error_set(e, -EINVAL,
			 "record %s has %zu of at most %d image references: get it with fewer new "
			 "ones",
			 r->id, r->image_ref_count, MANAGER_IMAGE_REFS_MAX);
}

/* Adds the ref and its rows; the record keeps it also on failure. */
static int add_ref(struct manager *m, struct record *r, struct lease *l,
		   const struct record_get_options *options, struct change_set *c, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	size_t image_refs;
	int code = check_image_refs(r, options, &image_refs, e);

	if (code < 0)
		return code;
	code = record_refs_add(r, l, 1, options->no_use ? 0 : 1);
	if (code < 0)
		return error_set(e, code, "out of memory");
	lease_table_save_hold(c, r, l);
	for (size_t i = 0; i < image_refs; i++) {
		if (record_add_image_ref(r, options->image_refs[i]) < 0) {
			(void)record_refs_drop(r, l); /* added above */
			return error_set(e, -ENOMEM, "out of memory");
		}
		record_rows_add_image_ref(c, r->id, options->image_refs[i]);
	}
	return 0;
}

int record_hold_add_ref(struct manager *m, struct record *r, struct lease *l,
			const struct record_get_options *options, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code = add_ref(m, r, l, options, &c, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0) {
		manager_lock(m);
		(void)record_refs_drop(r, l); /* added above */
		manager_unlock(m);
	}
	return code;
}

/* With the lock: which record a Get is for, and whether it may have it. */
static int choose_for_get(struct record **r, const struct record_get_options *options,
			  struct error *e)
{
	manager_assert_some_locked();
	if (options->is_mutable) {
		if (!(*r)->is_mutable)
			return error_set(e, -EINVAL, "record %s is not mutable", (*r)->id);
		return record_is_held(*r) ? refuse_locked(*r, e) : 0;
	}
	if (!(*r)->is_mutable)
		return 0;
	if (record_is_held(*r))
		return refuse_locked(*r, e);
	if ((*r)->twin)
		*r = (*r)->twin;
	return 0;
}

static int reserve_for_get(struct manager *m, const char *id,
			   const struct record_get_options *options,
			   const struct lease_holder *holder, struct reservation *ret_reserved,
			   struct lease_use *ret_use, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = manager_find(locked, id, &r, e);

	if (code < 0)
		return code;
	if (r->is_mutable) {
		code = snapshot_lease_refuse_record(r, "another client cannot have it", e);
		if (code < 0)
			return code;
	}
	code = choose_for_get(&r, options, e);
	if (code < 0)
		return code;
	code = lease_use_begin(locked, holder, ret_use, e);
	if (code < 0)
		return code;
	reservation_begin(locked, r, ret_reserved);
	return 0;
}

int record_hold_get(struct manager *m, const char *id, const struct record_get_options *options,
		    const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		    struct error *e)
{
	cleanup(lease_use_end) struct lease_use use = { 0 };
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reserve_for_get(m, id, options, holder, &reserved, &use, e);

	if (code < 0)
		return code;

	struct record *r = reserved.record;
	memcpy(ret_id, r->id, sizeof(r->id));
	if (options->is_mutable && r->twin) {
		code = discard_twin(m, r, e);
		if (code < 0)
			return code;
	}
	if (r->is_mutable && !options->is_mutable)
		return record_commit_reserved(m, r, use.lease, true, ret_id, e);
	return record_hold_add_ref(m, r, use.lease, options, e);
}
