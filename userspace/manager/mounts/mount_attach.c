/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of records. A mount's row is written, it is made detached, its counters are registered,
 * and only then is it attached: no access is ever missed, and none without a row. A mutable record
 * is mounted writable at mnt/<id>; a read-only view of it is a second mount point of the same
 * superblock, mnt/<id>-ro. An immutable record is mounted read-only at mnt/<id>.
 */
#include "manager/mounts/mount_attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/state/layer_watch.h"
#include "manager/state/new_names.h"
#include "manager/state/store_files.h"
#include "overlay/overlay_mount.h"
#include "store/file_rows.h"
#include "store/usage_rows.h"

int mount_attach_register(struct manager *m, struct mount *mount, int root_fd, struct error *e)
{
	const char *own = mount->layers[mount->writable ? 0 : 1].name;
	cleanup(close_fd) int identity = -EBADF;
	/* With the store's empty directory, which fills up what overlayfs wants as lowers. */
	size_t least = mount->writable ? 2 : 3;
	size_t layers = mount->layer_count > least ? mount->layer_count : least;
	int code = store_files_open_layer(m, own, &identity, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	return usage_bpf_register(m->usage, mount->id, root_fd, identity, mount->writable,
				  (uint32_t)layers, e);
}

static void add_rows(struct change_set *c, const struct manager *m, const struct mount *mount,
		     const struct record *r)
{
	cleanup(free_ptr) char *names = mount_list_layer_names(mount);
	struct mount_row row = { .id = (int64_t)mount->id,
				 .record = r->id,
				 .boot = m->boot_id,
				 .layers = names,
				 .uid_map = mount->id_map.uids,
				 .gid_map = mount->id_map.gids,
				 .writable = mount->writable };

	if (names)
		usage_rows_insert_mount(c, &row);
	else
		c->failed = true;
}

int mount_attach_check_map(const struct manager *m, const struct id_map *map, struct error *e)
{
	if (!id_map_is_set(map) || !*m->features.id_map_refusal)
		return 0;
	return error_set(e, -ENOTSUP, "there are no mounts with a map of ids here: %s",
			 m->features.id_map_refusal);
}

static int create_detached(struct manager *m, const struct mount *mount, int *ret_fd,
			   struct error *e)
{
	const char *lowers[OVERLAY_MAX_LOWERS];
	struct overlay_spec spec = { .lowers = lowers,
				     .lower_count = mount->layer_count - 1,
				     .id_map = &mount->id_map };
	int code = mount_attach_check_map(m, &mount->id_map, e);

	if (code < 0)
		return code;
	if (spec.lower_count > OVERLAY_MAX_LOWERS)
		return error_set(e, -EMFILE,
				 "%zu layers are more than the %d that overlayfs stacks",
				 spec.lower_count, OVERLAY_MAX_LOWERS);
	for (size_t i = 0; i < spec.lower_count; i++)
		lowers[i] = mount->layers[i + 1].name;
	if (mount->writable)
		spec.upper = mount->layers[0].name;
	return overlay_mount_create(m->root_fd, &m->features, &spec, ret_fd, e);
}

static int attach_at(struct manager *m, int mount_fd, const char *name, struct error *e)
{
	int code;

	if (mkdirat(m->mounts_fd, name, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make %s/mnt/%s: %s", m->root, name, strerror(errno));
	code = fail_point_error("mount.point-made", e);
	if (code == 0)
		code = overlay_mount_attach(mount_fd, m->mounts_fd, name, e);
	fail_point("mount.attached");
	if (code < 0)
		(void)unlinkat(m->mounts_fd, name, AT_REMOVEDIR); /* the first error counts */
	return code;
}

/* Undoes the rows and the registration of a mount that was never attached. */
static void forget_unseen(struct manager *m, const struct mount *mount)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct error e = { 0 };

	usage_bpf_retire(m->usage, mount->id);
	usage_bpf_forget(m->usage, mount->id);
	usage_rows_delete_mount(&c, (int64_t)mount->id);
	if (change_set_write(&c, m->database, DATABASE_RELAXED, &e) < 0)
		manager_report(m, true, "forget a mount that failed: %s", e.text);
}

struct mount *mount_attach_prepare(struct manager *m, const struct record *r,
				   const struct id_map *map, struct change_set *c)
{
	struct mount *mount;
	uint64_t id;

	manager_assert_unlocked(m);
	manager_lock(m);
	id = new_names_mount_id(m);
	manager_unlock(m);
	mount = mount_list_new(r, id, r->is_mutable, map);
	if (mount)
		add_rows(c, m, mount, r);
	return mount;
}

/* What is read through it is not counted, so that nothing can be called never read. */
static void mark_incomplete(struct manager *m, const struct mount *mount)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct error e = { 0 };

	for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++)
		file_rows_mark_incomplete(&c, mount->layers[i].name, clock_wall_ns());
	if (change_set_write(&c, m->database, DATABASE_RELAXED, &e) < 0)
		manager_report(m, true, "note that a mount is not counted: %s", e.text);
}

/* Accounting that fails never fails a mount: what is missed is counted as lost. */
static void count_if_possible(struct manager *m, const struct record *r, struct mount *mount,
			      int mount_fd)
{
	struct error e = { 0 };

	int code = mount_attach_register(m, mount, mount_fd, &e);

	if (code < 0)
		manager_report(m, true, "record=%s not counted: %s", r->id, e.text);
	if (code < 0 || usage_bpf_backend(m->usage) == USAGE_BACKEND_NONE)
		mark_incomplete(m, mount);
}

static int create_and_attach(struct manager *m, const struct record *r, struct mount *mount,
			     struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	char name[MOUNT_POINT_NAME_SIZE];
	int code = 0;

	/* What has just been committed may still be mounted, and its layer be an upper. */
	unmount_queue_wait(m, r->layer->name);
	if (r->parent)
		unmount_queue_wait(m, r->parent->layer->name);
	/* Two superblocks with one upper, or above files that change, are undefined. */
	if (mount->writable && r->layer->lingering)
		code = mount_lingering_refuse(m, r, false, e);
	if (code < 0)
		return code;
	code = create_detached(m, mount, &fd, e);
	if (code < 0)
		return code;
	code = fail_point_error("mount.created", e);
	if (code < 0)
		return code;
	layer_watch_chain(m, r);
	count_if_possible(m, r, mount, fd);
	fail_point("mount.registered");
	mount_list_point_name(r, false, name);
	return attach_at(m, fd, name, e);
}

/* With the lock. */
static void tell_mounted(struct manager *m, const struct record *r)
{
	struct ring_event event = { .kind = EVENT_MOUNTED, .bytes = -1 };

	manager_assert_locked(m);
	memcpy(event.record, r->id, sizeof(event.record));
	memcpy(event.layer, r->layer->name, sizeof(event.layer));
	event_ring_add(m->events, &event);
}

int mount_attach_prepared(struct manager *m, struct record *r, struct mount *mount, struct error *e)
{
	int64_t begun_ns = clock_monotonic_ns();
	int code;

	manager_assert_unlocked(m);
	code = create_and_attach(m, r, mount, e);
	histogram_add(&m->meters.mounts, clock_monotonic_ns() - begun_ns);
	if (code < 0) {
		forget_unseen(m, mount);
		mount_list_free(mount);
		return error_context(e, "mount %s", r->id);
	}
	manager_lock(m);
	mount_list_link(m, mount, r);
	tell_mounted(m, r);
	manager_unlock(m);
	return 0;
}

int mount_attach(struct manager *m, struct record *r, const struct id_map *map, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(mount_list_free) struct mount *mount = mount_attach_prepare(m, r, map, &c);
	int code;

	manager_assert_unlocked(m);
	if (!mount)
		return error_set(e, -ENOMEM, "mount %s: out of memory", r->id);
	code = change_set_write(&c, m->database, DATABASE_RELAXED, e);
	if (code < 0)
		return error_context(e, "mount %s", r->id);
	return mount_attach_prepared(m, r, take_ptr(mount), e);
}

int mount_attach_clone(struct manager *m, struct record *r, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	char name[MOUNT_POINT_NAME_SIZE];
	int code;

	manager_assert_unlocked(m);
	mount_list_point_name(r, false, name);
	code = overlay_mount_clone_read_only(m->mounts_fd, name, &fd, e);
	if (code < 0)
		return code;
	mount_list_point_name(r, true, name);
	return attach_at(m, fd, name, e);
}
