/* SPDX-License-Identifier: Apache-2.0 */
/* Which lease a holder means, and the rows of what it holds. With the lock. */
#pragma once

#include "manager/state/manager_state.h"

/* The lease of the command line, which always exists and never expires. */
#define MANAGER_CLI_LEASE "cli"

/* Who holds the refs that a call takes: a lease by name, or a connection's own one. */
struct lease_holder {
	const char *lease; /* "" or NULL: the connection's ephemeral lease */
	uint64_t connection;
};

/* The lease found (a connection's own one is made when it is asked
 * for) stays until it is put back. -ENOENT. */
int lease_table_find(struct manager *m, const struct lease_holder *holder, struct lease **ret_lease,
		     struct error *e);
void lease_table_put(struct manager *m, struct lease *l);

/* Adds the hold's present state to the set; nothing for a connection's lease. */
void lease_table_save_hold(struct change_set *c, const struct record *r, const struct lease *l);
#define LEASE_CONNECTION_NAME_SIZE 40
void lease_table_connection_name(uint64_t connection, char name[LEASE_CONNECTION_NAME_SIZE]);
