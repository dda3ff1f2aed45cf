/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lease's external references: what its owner still needs besides the records that the lease
 * holds, as ids, chain ids and blob chain ids. The records that these name, and their ancestors,
 * are shared: prune keeps them unless it is told to take everything.
 */
#pragma once

#include "manager/state/lease_table.h"

/* Replaces all external references of the holder's lease. -ENOENT: no such lease. */
int lease_references_set(struct manager *m, const struct lease_holder *holder,
			 const char *const *references, size_t count, struct error *e);
