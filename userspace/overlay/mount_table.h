/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's mount table, read with libmount. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

struct mount_entry {
	char *target; /* absolute */
	char *file_system; /* "overlay", … */
	dev_t device;
	bool read_only;
	size_t position; /* in the kernel's table: of two on one target, the later is visible */
};

struct mount_table {
	struct mount_entry *entries; /* parents first */
	size_t count;
};

/* Every mount at or below `directory` (absolute, without a trailing slash). */
int mount_table_below(const char *directory, struct mount_table **ret_table, struct error *e);
void mount_table_free(struct mount_table *t);
DEFINE_CLEANUP(struct mount_table *, mount_table_free)

#define MOUNT_TABLE_NAME_SIZE 32

/* The type of the file system that fd lies on: "ext4", "fuse.sshfs", …; "unknown (0x…)" with the
 * magic number of statfs(2) when the mount cannot be seen from here. */
int mount_table_file_system(int fd, char ret_name[MOUNT_TABLE_NAME_SIZE], struct error *e);
