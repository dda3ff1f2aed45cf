/* SPDX-License-Identifier: Apache-2.0 */
/* Which lease a holder means, and the rows of what it holds. */
#include "manager/state/lease_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/state/snapshot_lease.h"
#include "store/lease_rows.h"

void lease_table_connection_name(uint64_t connection, char name[LEASE_CONNECTION_NAME_SIZE])
{
	(void)snprintf(name, LEASE_CONNECTION_NAME_SIZE, "connection/%" PRIu64,
		       connection); /* no client can make a name with a slash */
}

static int find_connection_lease(struct manager *m, uint64_t connection, struct lease **ret_lease,
				 struct error *e)
{
	char name[LEASE_CONNECTION_NAME_SIZE];
	struct lease *l;

	lease_table_connection_name(connection, name);
	l = hashmap_find(m->leases, name);
	if (!l) {
		l = lease_new(name, clock_wall_ns(), 0, connection);
		if (!l || hashmap_insert(m->leases, l->name, l) < 0) {
			lease_free(l);
			return error_set(e, -ENOMEM, "out of memory");
		}
	}
	l->users++;
	*ret_lease = l;
	return 0;
}

int lease_table_find(struct manager *m, const struct lease_holder *holder, struct lease **ret_lease,
		     struct error *e)
{
	struct lease *l;

	manager_assert_locked(m);
	if (!holder->lease || !*holder->lease)
		return find_connection_lease(m, holder->connection, ret_lease, e);
	if (snapshot_lease_is_one(holder->lease))
		return snapshot_lease_refuse(holder->lease, e);
	l = hashmap_find(m->leases, holder->lease);
	if (!l || l->hidden)
		return error_set(e, -ENOENT, "no lease '%.*s' (varve lease ls; varve lease create)",
				 MANAGER_LEASE_NAME_MAX, holder->lease);
	l->users++;
	*ret_lease = l;
	return 0;
}

void lease_table_put(struct manager *m, struct lease *l)
{
	manager_assert_locked(m);
	l->users--;
	pthread_cond_broadcast(&m->idle);
}

void lease_table_save_hold(struct change_set *c, const struct record *r, const struct lease *l)
{
	const struct hold *h = record_refs_find(r, l);

	if (l->connection == 0)
		lease_rows_set_hold(c, l->name, r->id, h ? h->refs : 0, h ? h->counting_refs : 0);
}
