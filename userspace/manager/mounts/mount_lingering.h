/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts that linger: the agent unmounted its mount point, and the superblock lives on, since a
 * clone of the mount in another mount namespace, an open file or a working directory keeps it.
 * layer->lingering counts them: such a layer is neither deleted nor mounted writable.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Before the mount point `name` is unmounted: so that the superblock's end will be noticed. */
void mount_lingering_watch(struct manager *m, struct mount *mount, const char *name);
/* The mount point could not be unmounted. */
void mount_lingering_unwatch(struct manager *m, struct mount *mount);

/* With the lock: the mount is not its record's any more. */
void mount_lingering_begin(struct manager *m, struct mount *mount);
/* With the lock: mounts whose superblock has ended do not linger any more. */
void mount_lingering_update(struct manager *m);
/* The same for those that cannot be watched, since they were unmounted without the agent: asks the
 * kernel about each. Without the lock. */
void mount_lingering_check(struct manager *m);

/* -EBUSY, with the names of processes, when a superblock has the record's layer; with
 * `writers_only`, when it could still write into it. Without the lock. */
int mount_lingering_refuse(struct manager *m, const struct record *r, bool writers_only,
			   struct error *e);
