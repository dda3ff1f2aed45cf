/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the clock has been set back behind what the records remember. */
#pragma once

#include "manager/state/manager_state.h"

#define CLOCK_CHECK_BEHIND "the clock is %s behind the newest use of a record"

/* By how much, 0 for not at all, or when it is cancelled (by a flag that may be NULL). Without the
 * lock. */
int64_t clock_check_lag(struct manager *m, const atomic_bool *cancelled);
