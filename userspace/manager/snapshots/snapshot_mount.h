/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of snapshots, as containerd asks for them. */
#pragma once

#include "manager/snapshots/snapshot_answer.h"
#include "manager/state/manager_state.h"

/* -EBUSY: a committed one has no mount. */
int snapshot_mount(struct manager *m, const char *key, struct snapshot_mount *ret_mount,
		   struct error *e);
