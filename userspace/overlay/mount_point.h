/* SPDX-License-Identifier: Apache-2.0 */
/* A mount point, named by a directory and one component of a path below it; links are not
 * followed. Used inside overlay/. */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "base/error.h"

#define MOUNT_POINT_PATH_SIZE (NAME_MAX + 64)

/* -EINVAL: not one component of a path. */
int mount_point_check_name(const char *name, struct error *e);
/* The id of the mount whose root `name` is; -EINVAL: nothing is mounted there. */
int mount_point_find(int parent, const char *name, uint64_t *ret_id, struct error *e);
/* A path for system calls that take no directory; valid while `parent` is open. */
int mount_point_path(int parent, const char *name, char ret_path[MOUNT_POINT_PATH_SIZE],
		     struct error *e);
/* Sets and returns -EBUSY, and names the processes and the mounts that keep the mount busy. */
int mount_point_refuse_busy(int parent, const char *name, uint64_t mount_id, struct error *e);
