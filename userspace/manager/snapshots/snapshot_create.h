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
#include "manager/state/manager_state.h"

struct snapshot_request {
	enum snapshot_kind kind; /* active or view */
	const char *key;
	const char *parent; /* "" : none */
	const struct record_label *labels; /* those with an empty value are left out */
	size_t label_count;
};

/* Prepare and View. -EINVAL: the parent is not committed. */
int snapshot_create(struct manager *m, const struct snapshot_request *request,
		    struct snapshot_mount *ret_mount, struct error *e);
