/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's cells into the records. Without the lock. */
#pragma once

#include "manager/state/manager_state.h"

/* Moves what the cells counted since the last time into the layers, the files that were read into
 * the database, and settles the mounts that are gone. What cannot be written now (a full disk) is
 * right in memory, is written by a later fold, and is reported: it fails no caller. Without the
 * lock. */
void counter_fold(struct manager *m);

/* For a call that wants to show what was counted until now, files left out. Does nothing when
 * another thread has done it since this was called, or when the call is cancelled. `cancelled` may
 * be NULL. */
void counter_fold_for_call(struct manager *m, const atomic_bool *cancelled);

/* For mounts that are gone only, whatever else is mounted, files left out: a mount whose files have
 * not been folded is settled later. */
void counter_fold_gone(struct manager *m);

/* The same for the own cells of one layer, before it is measured: what is counted later has changed
 * it afterwards. */
void counter_fold_layer(struct manager *m, const char *layer);
