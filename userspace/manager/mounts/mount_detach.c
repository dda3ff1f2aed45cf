/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a mount: unmounted at once, frozen for a commit, or left to the unmount queue. */
#include "manager/mounts/mount_detach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fail_point.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/mounts/counter_fold.h"
#include "overlay/overlay_mount.h"

static int unmount_point(struct manager *m, const struct record *r, bool clone, struct error *e)
{
	char name[MOUNT_POINT_NAME_SIZE];
	int code;

	mount_list_point_name(r, clone, name);
	code = fail_point_error("mount.unmount", e);
	if (code == 0)
		code = overlay_unmount(m->mounts_fd, name, e);
	if (code < 0 && code != -EINVAL && code != -ENOENT) /* somebody else unmounted it */
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
	code = unmount_point(m, r, false, e);
	if (code < 0)
		return code;

	usage_bpf_retire(m->usage, mount->id);
	fail_point("mount.retired");
	manager_lock(m);
	mount->record = NULL;
	r->mount = NULL;
	manager_unlock(m);
	counter_fold_gone(m);
	return 0;
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
	return code == -EINVAL || code == -ENOENT ? 0 : code; /* somebody else unmounted it */
}

void mount_detach_later(struct manager *m, struct record *r, struct unmount_task *task)
{
	manager_assert_unlocked(m);
	memcpy(task->layer, r->layer->name, sizeof(task->layer));
	memcpy(task->id, r->id, sizeof(task->id));
	if (!r->mount)
		return;
	usage_bpf_retire(m->usage, r->mount->id);
	manager_lock(m);
	task->mounted = true;
	task->read_only_clone = r->mount->read_only_clone;
	r->mount->abandoned = true;
	r->mount->record = NULL;
	r->mount = NULL;
	manager_unlock(m);
}
