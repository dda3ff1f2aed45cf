/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as containerd's snapshots. A snapshot is a record with a key: an active one is mutable
 * and mounted, a committed one is the same record, immutable, and a view is a record with an empty
 * layer of its own, mounted read-only. Each belongs to the lease of its containerd namespace, which
 * only the functions of this room release. Errors as in manager.h, and -EEXIST; the texts follow
 * containerd's own snapshotters.
 */
#pragma once

#include "manager/snapshots/snapshot_answer.h"
#include "manager/snapshots/snapshot_request.h"
#include "manager/state/manager_state.h"

/* Prepare and View. -EINVAL: the parent is not committed. -EEXIST also when the store has the layer
 * that the client is about to unpack: see snapshot_known.h. */
int snapshot_create(struct manager *m, const struct snapshot_request *request,
		    struct snapshot_mount *ret_mount, struct error *e);
