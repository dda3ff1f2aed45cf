/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of snapshots, as containerd asks for them. */
#pragma once

#include "manager/state/manager_state.h"

/* Mounts it again when it is not mounted. *ret_mountpoint is the caller's to free. -EBUSY: a
 * committed one has no mount. */
int snapshot_mount(struct manager *m, const char *key, char **ret_mountpoint, bool *ret_read_only,
		   struct error *e);
