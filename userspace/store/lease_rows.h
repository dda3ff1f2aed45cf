/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of leases and of what they hold. Leases of connections are never in the database. */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

void lease_rows_insert(struct change_set *c, const struct lease *l);
/* The same, unless it is there. */
void lease_rows_ensure(struct change_set *c, const struct lease *l);
/* Without holds, when the change is made. */
void lease_rows_delete_empty(struct change_set *c, const char *name);
/* With its holds and external references. */
void lease_rows_delete(struct change_set *c, const char *name);
/* How many refs the lease holds on the record now; 0 removes the row. */
void lease_rows_set_hold(struct change_set *c, const char *lease, const char *record, unsigned refs,
			 unsigned counting_refs);
/* Replaces the lease's external references. */
void lease_rows_set_references(struct change_set *c, const char *lease, char *const *references,
			       size_t count);

/* A lease as its row has it; texts live until the next row. */
struct lease_row {
	const char *name, *uid_map, *gid_map; /* "" for none */
	int64_t created_ns, expires_ns;
};

int lease_rows_load(sqlite3 *db, int (*visit)(const struct lease_row *row, void *user), void *user,
		    struct error *e);
int lease_rows_load_holds(sqlite3 *db,
			  int (*visit)(const char *lease, const char *record, unsigned refs,
				       unsigned counting_refs, void *user),
			  void *user, struct error *e);
/* In the order of the leases, each one's sorted. */
int lease_rows_load_references(sqlite3 *db,
			       int (*visit)(const char *lease, const char *what, void *user),
			       void *user, struct error *e);
