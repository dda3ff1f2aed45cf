/* SPDX-License-Identifier: Apache-2.0 */
/* The file system that the store is on. */
#pragma once

#include "manager/state/manager_state.h"
#include "prune/prune_policy.h"

/* Zeros when statfs fails; without the inodes of the store. */
struct prune_disk store_disk_read(const struct manager *m);
