/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of all mount namespaces that have a process, from /proc/PID/mountinfo. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct namespace_mount {
	int process; /* one in the mount namespace: an open directory of /proc */
	dev_t device;
	const char *point; /* as the process sees it; special characters are escaped */
	const char *file_system; /* "overlay", … */
	const char *options; /* of the superblock */
};

/* The mount namespaces that have been seen, by inode number. */
struct mount_namespaces {
	uint64_t *numbers;
	size_t count, capacity;
};

void mount_namespaces_free(struct mount_namespaces *seen);
DEFINE_CLEANUP_VALUE(struct mount_namespaces, mount_namespaces_free)

/* Whether the process, an open directory of /proc, is the first one of its mount namespace. */
bool mount_namespaces_is_new(struct mount_namespaces *seen, int process);
/* Visits the mounts in the process's mount namespace until a visit returns true, and returns
 * whether one did. */
bool mount_namespaces_visit(int process, bool (*visit)(const struct namespace_mount *m, void *user),
			    void *user);
/* The same for every mount namespace. */
bool mount_namespaces_visit_all(bool (*visit)(const struct namespace_mount *m, void *user),
				void *user);
