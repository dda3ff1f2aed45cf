/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a record, for messages. */
#pragma once

#include "manager/state/manager_state.h"

/* "lease 'cli' and 2 more". With the lock. */
void record_holders_describe(const struct record *r, char *text, size_t size);
