/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a container last used an image, as the snapshots tell: containerd prepares a writable
 * snapshot on an image's top layer for each container, and removes it with the container. The steps
 * of a build look the same.
 */
#pragma once

#include "manager/state/manager_state.h"
#include "store/change_set.h"

/* With the lock: notes that a container on the record's snapshot begins or ends now, and adds that
 * to the change set. A snapshot that is not writable, or that is being unpacked, has none. */
void snapshot_container_note(struct manager *m, const struct record *r, struct change_set *c);
