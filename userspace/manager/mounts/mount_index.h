/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of one moment by their ids, for callers that look for many of them. */
#pragma once

#include "manager/state/manager_state.h"

struct mount_index {
	struct mount **sorted; /* by id */
	size_t count;
};

/* With the lock, as long as the index is used: all mounts, or only those that are gone. -ENOMEM. */
int mount_index_make(struct manager *m, bool gone_only, struct mount_index *ret_index);
void mount_index_free(struct mount_index *index); /* what it points to */
DEFINE_CLEANUP_VALUE(struct mount_index, mount_index_free)

/* NULL: there is none with this id. */
struct mount *mount_index_find(const struct mount_index *index, uint64_t id);
