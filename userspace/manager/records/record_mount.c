/* SPDX-License-Identifier: Apache-2.0 */
/* Mount and unmount, as clients ask for them: which mount a record gets, with which map of ids. */
#include "manager/records/record_mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manager/state/reservation.h"
#include "manager/content/content_extract.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/mount_attach.h"
#include "manager/records/record_finalize.h"
#include "manager/state/snapshot_lease.h"

/* "0:100000:65536 for users and 0:100000:65536 for groups" */
static void describe_map(const struct id_map *map, char *text, size_t size)
{
	if (id_map_is_set(map))
		(void)snprintf(text, size,
			       "with the map of ids %.80s for users and %.80s for groups",
			       map->uids, map->gids);
	else
		(void)snprintf(text, size, "without a map of ids");
}

/* With the lock: the record's own map, else that of the lease, which must hold the record. */
static int choose_map_of_lease(struct manager *m, const struct record *r, const char *lease,
			       const struct id_map **ret_map, struct error *e)
{
	const struct lease_holder holder = { .lease = lease };
	char text[256];
	struct lease *l;
	int code = lease_table_find(m, &holder, &l, e);

	manager_assert_locked(m);
	if (code < 0)
		return code;
	lease_table_put(m, l); /* it stays while the lock is held */
	if (!record_refs_find(r, l))
		return error_set(e, -ENOENT, "lease '%s' does not hold record %s", l->name, r->id);
	if (!id_map_is_set(&r->id_map)) {
		*ret_map = &l->id_map;
		return 0;
	}
	if (id_map_is_set(&l->id_map) && !id_map_equal(&r->id_map, &l->id_map)) {
		describe_map(&r->id_map, text, sizeof(text));
		return error_set(e, -EINVAL,
				 "record %s was made %s, and lease '%s' has another one", r->id,
				 text, l->name);
	}
	return 0;
}

/* With the lock: the record's own map, else that of the lease through which it is mounted. */
static int choose_map(struct manager *m, const struct record *r, const char *lease,
		      struct id_map *ret_map, struct error *e)
{
	const struct id_map *map = &r->id_map;
	char text[256];
	int code;

	manager_assert_locked(m);
	if (lease && *lease) {
		code = choose_map_of_lease(m, r, lease, &map, e);
		if (code < 0)
			return code;
	}
	if (r->mount && !id_map_equal(map, &r->mount->id_map)) {
		describe_map(&r->mount->id_map, text, sizeof(text));
		return error_set(e, -EBUSY,
				 "record %s is mounted %s, and has one mount at a time: unmount it "
				 "first (varve umount %.12s)",
				 r->id, text, r->id);
	}
	return id_map_copy(map, ret_map) < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
}

/* With the lock, which is given back meanwhile: a writable mount of an immutable record finalizes
 * it; then it has one read-only view for all. */
static int find_for_mount(struct manager *m, const char *id, bool read_only,
			  struct record **ret_record, struct error *e)
{
	int code = manager_find(m, id, ret_record, e);

	manager_assert_locked(m);
	if (code < 0 || (*ret_record)->is_mutable || !(*ret_record)->twin || read_only)
		return code;
	manager_unlock(m);
	code = record_finalize(m, id, e);
	manager_lock(m);
	return code < 0 ? code : manager_find(m, id, ret_record, e);
}

/* A second superblock with the same upper would be undefined. */
static bool is_mounted_by_client(const struct manager *m, const struct record *r)
{
	return r->snapshot && r->snapshot->kind != SNAPSHOT_COMMITTED && !r->mount &&
	       !m->agent_mounts;
}

static int reserve_for_mount(struct manager *m, const char *id,
			     const struct record_mount_options *o, struct reservation *ret_reserved,
			     struct id_map *ret_map, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = find_for_mount(locked, id, o->read_only, &r, e);

	if (code < 0)
		return code;
	if (r->is_mutable && r->twin && r->twin->refs > 0)
		return error_set(e, -EBUSY,
				 "record %s is committed as %s, which is held: mount that one",
				 r->id, r->twin->id);
	if (is_mounted_by_client(locked, r))
		return snapshot_lease_refuse_record(r, "its owner mounts it", e);
	code = content_extract_if_lazy(locked, &r, NULL, e);
	if (code < 0)
		return code;
	code = choose_map(locked, r, o->lease, ret_map, e);
	if (code < 0)
		return code;
	reservation_begin(locked, r, ret_reserved);
	return 0;
}

static int mount_reserved(struct manager *m, struct record *r, bool clone, const struct id_map *map,
			  struct error *e)
{
	int code = 0;

	/* An idle mutable half could be written while its twin is seen: never both mounted. */
	if (r->twin && r->is_mutable)
		code = mount_detach(m, r->twin, e);
	else if (r->twin)
		code = mount_detach_sealed(m, r->twin, e);
	if (code < 0)
		return code;
	if (!r->mount) {
		code = mount_attach(m, r, map, e);
		if (code < 0)
			return code;
	}
	if (!clone || r->mount->read_only_clone)
		return 0;
	code = mount_attach_clone(m, r, e);
	if (code == 0)
		r->mount->read_only_clone = true;
	return code;
}

int record_mount(struct manager *m, const char *id, const struct record_mount_options *options,
		 char ret_id[RECORD_ID_LENGTH + 1], char **ret_mountpoint, struct error *e)
{
	cleanup(id_map_free) struct id_map map = { 0 };
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reserve_for_mount(m, id, options, &reserved, &map, e);

	if (code < 0)
		return code;

	struct record *r = reserved.record;
	bool clone = options->read_only && r->is_mutable;
	code = mount_reserved(m, r, clone, &map, e);
	if (code < 0)
		return code;
	*ret_mountpoint = mount_list_path(m, r, clone);
	if (!*ret_mountpoint)
		return error_set(e, -ENOMEM, "out of memory");
	memcpy(ret_id, r->id, sizeof(r->id));
	return 0;
}

static int check_can_unmount(const struct record *r, struct error *e)
{
	if (!r->mount)
		return error_set(e, -EINVAL, "record %s is not mounted", r->id);
	if (r->snapshot && r->snapshot->kind != SNAPSHOT_COMMITTED)
		return snapshot_lease_refuse_record(r, "its mount is containerd's", e);
	return 0;
}

int record_mount_end(struct manager *m, const char *id, struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reservation_find_checked(m, id, check_can_unmount, &reserved, e);

	return code < 0 ? code : mount_detach(m, reserved.record, e);
}
