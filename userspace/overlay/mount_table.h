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
};

struct mount_table {
	struct mount_entry *entries; /* in the order of the kernel: parents first */
	size_t count;
};

/* Every mount at or below `directory` (absolute, without a trailing slash). */
int mount_table_below(const char *directory, struct mount_table **ret_table, struct error *e);
void mount_table_free(struct mount_table *t);
DEFINE_CLEANUP(struct mount_table *, mount_table_free)
