/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads that take files out of the kernel between the folds of housekeeping. One puts a
 * buffer aside as soon as it fills, which takes milliseconds; the other folds, when a buffer was
 * put aside, and when mounts that are gone wait for their files.
 */
#pragma once

#include "manager/state/manager_state.h"

int fold_threads_start(struct manager *m, struct error *e);
void fold_threads_stop(struct manager *m);
