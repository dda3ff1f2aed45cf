/* SPDX-License-Identifier: Apache-2.0 */
/* A lease that an operation works with: it is not freed before the use ends, with its scope. */
#pragma once

#include "manager/state/lease_table.h"

struct lease_use {
	struct manager *m;
	struct lease *lease; /* NULL: none */
};

/* The holder's lease; a connection's own one is made when it is first asked for. -ENOENT. With the
 * lock. */
int lease_use_begin(struct manager *m, const struct lease_holder *holder, struct lease_use *ret_use,
		    struct error *e);
/* Without the lock. */
void lease_use_end(struct lease_use *use);
DEFINE_CLEANUP_VALUE(struct lease_use, lease_use_end)
