/* SPDX-License-Identifier: Apache-2.0 */
/* The name by which each inode with several links was met first. */
#pragma once

#include <sys/types.h>

#include "base/cleanup.h"

struct inode_names;

struct inode_names *inode_names_new(void); /* NULL: no memory */
void inode_names_free(struct inode_names *n);
DEFINE_CLEANUP(struct inode_names *, inode_names_free)

/* ret_first is the first name of the inode, or NULL when it is met for the first time. -ENOMEM. */
int inode_names_meet(struct inode_names *n, ino_t inode, const char *name, const char **ret_first);
