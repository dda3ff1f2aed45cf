/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the mounts that containerd shows to what they are made of: the reverse of the answers of
 * Prepare, View and Mounts, in all their forms:
 *
 *	bind     STORE/mnt/RECORD                             what the agent mounted
 *	bind     STORE/layers/LAYER/fs                        an active snapshot without a parent
 *	overlay  lowerdir=…:STORE/empty[,upperdir=…,…]        the others, mounted by the client
 */
#pragma once

#include "manager/state/manager_state.h"

/* A mount as a client names it. */
struct snapshot_mount_text {
	const char *type, *source; /* borrowed, as are the options */
	char *const *options;
	size_t option_count;
};

/* What a mount shows, as of now. */
struct snapshot_mounted {
	struct record *top; /* whose tree it is; NULL: an empty tree */
	bool writable; /* the top is an active snapshot, and the mount may change it */
};

/* With the lock, which is given back while another thread works on the record. No mounts are an
 * empty tree. -EOPNOTSUPP: they are not ours, or not as they were handed out. */
int snapshot_mounted_find(struct manager *m, const struct snapshot_mount_text *mounts, size_t count,
			  struct snapshot_mounted *ret_mounted, struct error *e);
