/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a mount: unmounted at once, frozen for a commit, or left to the unmount queue. `r` is
 * reserved; without the lock.
 */
#pragma once

#include "manager/mounts/unmount_queue.h"

/* Unmounts the record. Its superblock may linger: see mount_lingering.h. */
int mount_detach(struct manager *m, struct record *r, struct error *e);

/* The same, and afterwards no process can write into the record's layer, by way of any clone of the
 * mount in any mount namespace. -EBUSY, with the names of processes, when one has a file open for
 * writing: then the mount stays as it was. */
int mount_detach_sealed(struct manager *m, struct record *r, struct error *e);

/* Nobody writes to the record by way of its mount any more, or can again. -EBUSY. */
int mount_detach_freeze(struct manager *m, const struct record *r, bool frozen, struct error *e);
void mount_detach_later(struct manager *m, struct record *r, struct unmount_task *task);
