/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as containerd's snapshots. A snapshot is a record with a key: an active one is mutable
 * and mounted, a committed one is the same record, immutable, and a view is a record with an empty
 * layer of its own, mounted read-only. Each belongs to the lease of its containerd namespace, which
 * only the functions here release. Errors as in manager.h, and -EEXIST; the texts follow
 * containerd's own snapshotters.
 */
#pragma once

#include "manager/state/manager_state.h"

struct snapshot_request {
	enum snapshot_kind kind; /* active or view */
	const char *key;
	const char *parent; /* "" : none */
	const struct record_label *labels; /* one with an empty value is none */
	size_t label_count;
};

/* Prepare and View. *ret_mountpoint is the caller's to free. -EINVAL: the parent is not committed.
 */
int snapshot_life_create(struct manager *m, const struct snapshot_request *request,
			 char **ret_mountpoint, struct error *e);

/* Mounts it again when it is not mounted. -EBUSY: a committed one has no mount. */
int snapshot_life_mount(struct manager *m, const char *key, char **ret_mountpoint,
			bool *ret_read_only, struct error *e);

/* The labels take the place of the old ones. -EBUSY: not active, or somebody is in the mount. */
int snapshot_life_commit(struct manager *m, const char *key, const char *name,
			 const struct record_label *labels, size_t label_count, struct error *e);

/* The record goes, too, unless somebody else needs it. -ENOTEMPTY: it is a parent. */
int snapshot_life_remove(struct manager *m, const char *key, struct error *e);

/* Until all that has been removed so far is deleted. */
void snapshot_life_clean_up(struct manager *m);
