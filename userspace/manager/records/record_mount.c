/* SPDX-License-Identifier: Apache-2.0 */
/* Mount and unmount, as clients ask for them: which mount a record gets, with which map of ids. */
#include "manager/records/record_mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* With the lock: the record's own map, else that of the lease through which it is mounted. */
static int choose_map(struct manager *m, const struct record *r, const char *lease,
		      struct id_map *ret_map, struct error *e)
{
	const struct lease_holder holder = { .lease = lease };
	const struct id_map *map = &r->id_map;
	char text[256];
	struct lease *l = NULL;
	int code = 0;

	manager_assert_locked(m);
	if (lease && *lease) {
		code = lease_table_find(m, &holder, &l, e);
		if (code < 0)
			return code;
		if (!record_refs_find(r, l))
			code = error_set(e, -ENOENT, "lease '%s' holds no ref on record %s",
					 l->name, r->id);
		describe_map(map, text, sizeof(text));
		if (!id_map_is_set(map))
			map = &l->id_map;
		else if (code == 0 && id_map_is_set(&l->id_map) && !id_map_equal(map, &l->id_map))
			code = error_set(e, -EINVAL,
					 "record %s was made %s, and lease '%s' has another one",
					 r->id, text, l->name);
		lease_table_put(m, l);
	}
	if (code == 0 && r->mount && !id_map_equal(map, &r->mount->id_map)) {
		describe_map(&r->mount->id_map, text, sizeof(text));
		code = error_set(e, -EBUSY,
				 "record %s is mounted %s, and has one mount at a time: unmount it "
				 "first (varve umount %.12s)",
				 r->id, text, r->id);
	}
	if (code == 0 && id_map_copy(map, ret_map) < 0)
		code = error_set(e, -ENOMEM, "out of memory");
	return code;
}

/* A writable mount of an immutable record finalizes it; then it has one read-only view for all. */
static int reserve_for_mount(struct manager *m, const char *id,
			     const struct record_mount_options *o, struct record **ret_record,
			     struct id_map *ret_map, struct error *e)
{
	struct record *r;
	int code;

	manager_lock(m);
	code = manager_find(m, id, &r, e);
	if (code == 0 && !r->is_mutable && r->twin && !o->read_only) {
		manager_unlock(m);
		code = record_finalize(m, id, e);
		if (code < 0)
			return code;
		manager_lock(m);
		code = manager_find(m, id, &r, e);
	}
	if (code == 0 && r->is_mutable && r->twin && r->twin->refs > 0)
		code = error_set(e, -EBUSY,
				 "record %s is committed as %s, which is held: mount that one",
				 r->id, r->twin->id);
	if (code == 0)
		code = content_extract_if_lazy(m, &r, NULL, e);
	if (code == 0)
		code = choose_map(m, r, o->lease, ret_map, e);
	if (code == 0) {
		manager_reserve(r);
		*ret_record = r;
	}
	manager_unlock(m);
	return code;
}

int record_mount(struct manager *m, const char *id, const struct record_mount_options *options,
		 char ret_id[RECORD_ID_LENGTH + 1], char **ret_mountpoint, struct error *e)
{
	cleanup(id_map_free) struct id_map map = { 0 };
	bool clone;
	struct record *r = NULL;
	int code = reserve_for_mount(m, id, options, &r, &map, e);

	if (code < 0)
		return code;
	clone = options->read_only && r->is_mutable;
	/* An idle mutable half could be written while its twin is seen: never both mounted. */
	if (r->twin && r->twin->mount)
		code = mount_detach(m, r->twin, e);
	if (code == 0 && !r->mount)
		code = mount_attach(m, r, &map, e);
	if (code == 0 && clone && !r->mount->read_only_clone) {
		code = mount_attach_clone(m, r, e);
		if (code == 0)
			r->mount->read_only_clone = true;
	}
	if (code == 0) {
		memcpy(ret_id, r->id, sizeof(r->id));
		*ret_mountpoint = mount_list_path(m, r, clone);
		if (!*ret_mountpoint)
			code = error_set(e, -ENOMEM, "out of memory");
	}
	manager_lock(m);
	manager_unreserve(m, r);
	manager_unlock(m);
	return code;
}

int record_mount_end(struct manager *m, const char *id, struct error *e)
{
	struct record *r;
	int code;

	manager_lock(m);
	code = manager_find(m, id, &r, e);
	if (code == 0 && !r->mount)
		code = error_set(e, -EINVAL, "record %s is not mounted", r->id);
	if (code == 0 && r->snapshot && r->snapshot->kind != SNAPSHOT_COMMITTED)
		code = snapshot_lease_refuse_record(r, "its mount is containerd's", e);
	if (code == 0)
		manager_reserve(r);
	manager_unlock(m);
	if (code < 0)
		return code;
	code = mount_detach(m, r, e);
	manager_lock(m);
	manager_unreserve(m, r);
	manager_unlock(m);
	return code;
}
