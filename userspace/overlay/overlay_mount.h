/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes overlay mounts from a store's layers. A mount is made detached, so that its counters can
 * be registered before anybody can see it, and attached afterwards.
 * Layout of a store as seen from here: layers/<name>/fs and layers/<name>/work, l/<name> a link
 * to ../layers/<name>/fs, empty/ an empty directory, staging/ for mount(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "overlay/overlay_features.h"
#include "overlay/overlay_options.h"

/* The mount's root, detached (O_PATH-like, close-on-exec). A read-only spec with one lower gets
 * the store's empty directory as second, since overlayfs wants two; a writable one without any
 * gets it as its only lower. -EMFILE: more than OVERLAY_MAX_LOWERS; -ENOTSUP: the kernel
 * cannot map ids in this store; -EROFS: the upper cannot be written. Nothing is left behind on
 * failure. */
int overlay_mount_create(int store, const struct overlay_features *features,
			 const struct overlay_spec *spec, int *ret_mount, struct error *e);

/* In the following, `name` is one component of a path, and links are not followed. */

/* Makes the detached mount visible at `name` below the directory `parent`, which must exist. */
int overlay_mount_attach(int mount, int parent, const char *name, struct error *e);
/* A read-only bind of the mount `name` below `parent`, detached: the same superblock, and so the
 * same counters, not writable. -EINVAL: not a mount point. */
int overlay_mount_clone_read_only(int parent, const char *name, int *ret_mount, struct error *e);
/* Makes this mount point read-only, or writable again. -EBUSY: a file is open for writing, and the
 * text names the processes. -EINVAL: not a mount point. */
int overlay_mount_set_read_only(int parent, const char *name, bool read_only, struct error *e);
/* Unmounts `name` below `parent`. -EBUSY: the mount is in use, and the text names the
 * processes. The short EBUSY of a closing io_uring is waited for. -EINVAL: not a mount point. */
int overlay_unmount(int parent, const char *name, struct error *e);
/* Processes in it stay there and see the files while these exist. -EINVAL: not a mount point. */
int overlay_unmount_lazily(int parent, const char *name, struct error *e);
/* Whether something is mounted on `name` below `parent`. */
bool overlay_is_mounted(int parent, const char *name);
