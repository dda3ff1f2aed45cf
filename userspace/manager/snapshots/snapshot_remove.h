/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a snapshot, and of its record unless another lease, a pin or a child keeps it, or it
 * stays as a kept layer (snapshot_kept.h). */
#pragma once

#include "manager/state/manager_state.h"

/* -ENOTEMPTY: it is a parent of snapshots. */
int snapshot_remove(struct manager *m, const char *key, struct error *e);
/* What has been removed is deleted from disk without being asked for. Where the agent mounts, this
 * blocks until everything removed so far is. */
void snapshot_remove_clean_up(struct manager *m);

/* Deletes the rows of the snapshot and of its record, durably. Without the lock. */
int snapshot_remove_rows(struct manager *m, struct record *r, struct lease *l, struct error *e);
/* Takes a reserved record, whose rows and key are gone, out of the graph, and leaves its mount and
 * its files to the unmount queue. Without the lock. */
void snapshot_remove_record(struct manager *m, struct record *r);
