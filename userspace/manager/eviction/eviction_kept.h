/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the layers that containerd has removed within [snapshots] keep_removed and keep_free: those
 * that were read the longest ago are evicted first. Without the lock. */
#pragma once

#include "manager/state/manager_state.h"

/* Evicts what is too much, and reports it. Cheap when no layer was kept since, and the disk has
 * space. */
void eviction_kept_run(struct manager *m, const atomic_bool *cancelled);
