/* SPDX-License-Identifier: Apache-2.0 */
/* Which blobs the lazy layers of a chain lack. */
#pragma once

#include "manager/state/manager_state.h"

/* -ENODATA names every blob of the record's chain that is not in the store and has no source. With
 * `unreachable`, a sentence on why the sources cannot be used, also those that have one. With the
 * lock. */
int content_missing_check(struct manager *m, const struct record *r, const char *unreachable,
			  struct error *e);
