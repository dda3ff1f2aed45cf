/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that prepares a snapshot to unpack an image layer says which chain that will be. When
 * the store has the layer, the committed snapshot is made over it instead: nothing is fetched and
 * unpacked. That is how remote snapshotters answer.
 */
#pragma once

#include "manager/snapshots/snapshot_request.h"
#include "manager/state/manager_state.h"

/* 0: nothing was done, and the client is to unpack. -EEXIST: there is a committed snapshot of the
 * chain, on the parent that was asked for and with the label containerd.io/snapshot.ref, by which
 * containerd finds it. */
int snapshot_known_find(struct manager *m, const struct snapshot_request *request, struct error *e);

/* Whether the record is a committed snapshot that is labelled as a chain and has its content. With
 * the lock. */
bool snapshot_known_is_one(const struct record *r);
