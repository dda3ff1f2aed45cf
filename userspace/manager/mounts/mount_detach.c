/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a mount: unmounted at once, frozen for a commit, or left to the unmount queue. */
#include "manager/mounts/mount_detach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/mounts/counter_fold.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_superblock.h"

static int unmount_point(struct manager *m, const struct record *r, bool clone, struct error *e)
{
	char name[MOUNT_POINT_NAME_SIZE];
	int64_t begun_ns = clock_monotonic_ns();
	int code;

	mount_list_point_name(r, clone, name);
	code = fail_point_error("mount.unmount", e);
	if (code == 0)
		code = overlay_unmount(m->mounts_fd, name, e);
	histogram_add(&m->meters.unmounts, clock_monotonic_ns() - begun_ns);
	if (code < 0 && code != -EINVAL && code != -ENOENT) /* another program unmounted it */
		return error_context(e, "unmount %s", r->id);
	fail_point("mount.unmounted");
	if (unlinkat(m->mounts_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		manager_report(m, true, "remove %s/mnt/%s: %s", m->root, name, strerror(errno));
	fail_point("mount.point-removed");
	return 0;
}

int mount_detach(struct manager *m, struct record *r, struct error *e)
{
	struct mount *mount = r->mount;
	char name[MOUNT_POINT_NAME_SIZE];
	bool watched;
	int code;

	manager_assert_unlocked(m);
	if (!mount)
		return 0;
	if (mount->read_only_clone) {
		code = unmount_point(m, r, true, e);
		if (code < 0)
			return code;
		mount->read_only_clone = false;
	}
	mount_list_point_name(r, false, name);
	mount_lingering_watch(m, mount, name);
	code = unmount_point(m, r, false, e);
	if (code < 0) {
		mount_lingering_unwatch(m, mount);
		return code;
	}

	fail_point("mount.retired");
	manager_lock(m);
	mount_lingering_begin(m, mount);
	watched = mount->watch != 0;
	r->mount = NULL;
	manager_unlock(m);
	if (!watched)
		mount_lingering_check(m);
	counter_fold_gone(m);
	return 0;
}

static int set_read_only(struct manager *m, const struct record *r, bool read_only, struct error *e)
{
	char name[MOUNT_POINT_NAME_SIZE];
	int code;

	mount_list_point_name(r, false, name);
	code = overlay_superblock_set_read_only(m->mounts_fd, name, read_only, e);
	if (code == 0)
		r->mount->read_only = read_only;
	/* What is not mounted there any more is judged by mount_lingering_refuse(). */
	return code == -EINVAL || code == -ENOENT ? 0 : code;
}

int mount_detach_sealed(struct manager *m, struct record *r, struct error *e)
{
	struct error late = { 0 };
	int code = r->mount ? set_read_only(m, r, true, e) : 0;

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	code = mount_detach(m, r, e);
	if (code == 0)
		return mount_lingering_refuse(m, r, true, e);
	if (r->mount->read_only && set_read_only(m, r, false, &late) < 0)
		manager_report(m, true, "record=%s stays read-only: %s", r->id, late.text);
	return code;
}

int mount_detach_freeze(struct manager *m, const struct record *r, bool frozen, struct error *e)
{
	char name[MOUNT_POINT_NAME_SIZE];
	int code;

	manager_assert_unlocked(m);
	if (!r->mount)
		return 0;
	mount_list_point_name(r, false, name);
	code = overlay_mount_set_read_only(m->mounts_fd, name, frozen, e);
	return code == -EINVAL || code == -ENOENT ? 0 : code; /* another program unmounted it */
}

void mount_detach_later(struct manager *m, struct record *r, struct unmount_task *task)
{
	char name[MOUNT_POINT_NAME_SIZE];

	manager_assert_unlocked(m);
	memcpy(task->layer, r->layer->name, sizeof(task->layer));
	memcpy(task->id, r->id, sizeof(task->id));
	if (!r->mount)
		return;
	mount_list_point_name(r, false, name);
	mount_lingering_watch(m, r->mount, name);
	manager_lock(m);
	task->mounted = true;
	task->read_only_clone = r->mount->read_only_clone;
	r->mount->abandoned = true;
	mount_lingering_begin(m, r->mount);
	r->mount = NULL;
	manager_unlock(m);
}
