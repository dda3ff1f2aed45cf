/* SPDX-License-Identifier: Apache-2.0 */
/* An active snapshot becomes a committed one: the same record, immutable, with a name for a key. */
#pragma once

#include "manager/state/manager_state.h"

/* The labels replace the active snapshot's. -EBUSY: it is not active, or a process has a file in
 * the mount open for writing. */
int snapshot_commit(struct manager *m, const char *key, const char *name,
		    const struct record_label *labels, size_t label_count, struct error *e);
