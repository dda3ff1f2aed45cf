/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of layers: measured when asked for, and only of those that an upper change has made stale.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Measures every layer whose size is not known, in parallel. Without the lock. */
int layer_sizes_measure(struct manager *m, const atomic_bool *cancelled, struct error *e);
