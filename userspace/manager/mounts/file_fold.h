/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's buffer of files into the database: what was read through which mount becomes
 * what was read of which layer. Each entry is added exactly once, whenever the agent ends.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Takes out all that was read until now. Mounts that were gone before have had all their files
 * added when it returns. What fails stays in the kernel, and is tried again by the next call.
 * Without the lock and the fold lock. */
int file_fold(struct manager *m, struct error *e);

/* The same for a call that wants to show the files. Does nothing when another thread has done it
 * since this was called, or when the call is cancelled. `cancelled` may be NULL. */
int file_fold_for_call(struct manager *m, const atomic_bool *cancelled, struct error *e);
