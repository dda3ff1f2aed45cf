/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases made, listed and ended: named ones live in the database, a connection's own one in memory
 * until it closes.
 */
#pragma once

#include "manager/state/lease_table.h"

struct lease_options {
	const char *name;
	int64_t expires_after_ns; /* 0: never */
	const char *uid_map, *gid_map; /* for what is made and mounted through it; NULL or "" */
};

int leases_create(struct manager *m, const struct lease_options *options, struct error *e);

/* Releases what it holds. */
int leases_remove(struct manager *m, const char *name, struct error *e);

/* Does not block. */
bool leases_has_connection(struct manager *m, uint64_t connection);

/* Ends the connection's own lease, if there is one. */
void leases_connection_closed(struct manager *m, uint64_t connection);

struct hold_view {
	char *name; /* the lease, or in a lease's view the record */
	unsigned refs;
};

struct lease_view {
	char *name;
	int64_t created_ns, expires_ns;
	bool ephemeral;
	struct hold_view *holds;
	size_t hold_count;
	char **references;
	size_t reference_count;
	struct id_map id_map;
};

/* By name. `cancelled` may be NULL. */
int leases_list(struct manager *m, const atomic_bool *cancelled, struct lease_view **ret_leases,
		size_t *ret_count, struct error *e);
void leases_free(struct lease_view *leases, size_t count);
