/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the layer of a snapshot is known to hold: the blob that the agent itself has unpacked into
 * it, under verified digests, if nothing has changed the files since. A snapshot that containerd
 * or another client has filled has no content.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Remembers what was unpacked into a reserved active snapshot: blob, diff id, size and media type.
 * -ENOMEM. Without the lock. */
int snapshot_content_note(struct manager *m, struct record *r,
			  const struct record_content *unpacked);

/* The content that the snapshot has when it is committed under the name; its files were changed
 * last at `changed_ns`. NULL: it is not known to be the chain that the name says. -ENOMEM. With
 * the lock. */
int snapshot_content_verified(const struct manager *m, const struct record *r, const char *name,
			      int64_t changed_ns, struct record_content **ret_content);
