/* SPDX-License-Identifier: Apache-2.0 */
/* Which blobs a chain of layers lacks. */
#pragma once

#include "manager/state/manager_state.h"

/* With the lock: -ENODATA names every blob of the chain that is not here and has no source; also
 * those that have one when `unreachable` says why they cannot be fetched. */
int content_missing_check(struct manager *m, const struct record *r, const char *unreachable,
			  struct error *e);
