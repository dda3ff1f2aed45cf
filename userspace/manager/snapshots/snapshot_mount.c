/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_mount.h"

#include <errno.h>

#include "manager/mounts/mount_attach.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_list.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/reservation.h"
#include "overlay/overlay_mount.h"

static int reserve(struct manager *m, const char *key, struct reservation *ret_reserved,
		   struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot *s;
	int code = snapshot_keys_get(locked, key, &s, e);

	if (code < 0)
		return code;
	if (s->kind == SNAPSHOT_COMMITTED)
		return error_set(e, -EBUSY,
				 "requested snapshot %.256s not active or view: failed "
				 "precondition",
				 key);
	reservation_begin(locked, s->record, ret_reserved);
	return 0;
}

/* What the agent mounted, now or when it was told to, stays as long as it is there. If it is the
 * agent that mounts, a mount that another process has unmounted is made anew. */
static int mount_again(struct manager *m, struct record *r, struct error *e)
{
	char name[MOUNT_POINT_NAME_SIZE];
	int code;

	mount_list_point_name(r, false, name);
	if (r->mount && !overlay_is_mounted(m->mounts_fd, name)) {
		code = mount_detach(m, r, e);
		if (code < 0)
			return code;
	}
	return r->mount || !m->agent_mounts ? 0 : mount_attach(m, r, &r->id_map, e);
}

int snapshot_mount(struct manager *m, const char *key, struct snapshot_mount *ret_mount,
		   struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reserve(m, key, &reserved, e);

	if (code < 0)
		return code;
	code = mount_again(m, reserved.record, e);
	return code < 0 ? code : snapshot_answer(m, reserved.record, ret_mount, e);
}
