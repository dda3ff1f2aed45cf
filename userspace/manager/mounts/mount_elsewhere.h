/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts that clients made themselves from layers that they were told of. A layer in one of them is
 * not deleted; containerd alone may remove its snapshots whenever it likes, as with its own
 * snapshotters. Without the lock.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Finds out which layers are mounted elsewhere: layer->elsewhere. Looks into every mount namespace
 * unless no layer was ever handed out. */
void mount_elsewhere_find(struct manager *m);
/* The same, also when nothing but snapshots was handed out: for plans over these. */
void mount_elsewhere_find_snapshots(struct manager *m);

/* -EBUSY, with the names of processes, when the layer of one of the records is. */
int mount_elsewhere_refuse(struct manager *m, struct record *const *records, size_t count,
			   struct error *e);
