/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a snapshot is answered: as a mount that the client makes itself, in the form of containerd's
 * overlayfs snapshotter, or as a bind mount of an overlay that the agent has mounted.
 */
#pragma once

#include "manager/state/manager_state.h"

#define SNAPSHOT_MOUNT_OPTIONS 5

struct snapshot_mount {
	const char *type; /* static */
	char *source;
	char *options[SNAPSHOT_MOUNT_OPTIONS];
	size_t option_count;
};

void snapshot_mount_free(struct snapshot_mount *mount); /* what it points to */
DEFINE_CLEANUP_VALUE(struct snapshot_mount, snapshot_mount_free)

/* Whether a client can be told the paths of the store's layers: in mount options a colon, a comma
 * or a backslash means something else. */
bool snapshot_answer_can_name(const char *root);

/* The answer for a reserved record that is an active snapshot or a view: the agent's mount if it
 * has one, else the client's own. Without the lock. */
int snapshot_answer(struct manager *m, const struct record *r, struct snapshot_mount *ret_mount,
		    struct error *e);
