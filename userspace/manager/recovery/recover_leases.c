/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/recover_leases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/lease_table.h"
#include "store/lease_rows.h"
#include "store/snapshot_rows.h"

struct lease_loading {
	struct manager *m;
	struct change_set *changes;
};

static int load_lease(const struct lease_row *row, void *user)
{
	struct lease_loading *load = user;
	cleanup(lease_free) struct lease *l =
		lease_new(row->name, row->created_ns, row->expires_ns, 0);
	int code;

	if (!l)
		return -ENOMEM;
	code = id_map_parse(row->uid_map, row->gid_map, &l->id_map, NULL);
	if (code < 0)
		return code;
	code = hashmap_insert(load->m->leases, l->name, l);
	if (code == 0)
		l = NULL; /* the table's */
	return code;
}

static int load_hold(const char *lease, const char *record, unsigned refs, unsigned counting,
		     void *user)
{
	struct lease_loading *load = user;
	struct lease *l = hashmap_find(load->m->leases, lease);
	struct record *r = record_graph_find(load->m->graph, record);

	if (l && r)
		return record_refs_add(r, l, refs, counting);
	if (l && hashmap_find(load->m->quarantined, record))
		return 0;
	lease_rows_set_hold(load->changes, lease, record, 0, 0);
	return 0;
}

static int load_reference(const char *lease, const char *what, void *user)
{
	struct lease_loading *load = user;
	struct lease *l = hashmap_find(load->m->leases, lease);
	char **references;

	if (!l)
		return 0;
	references = realloc(l->references, (l->reference_count + 1) * sizeof(*references));
	if (!references)
		return -ENOMEM;
	l->references = references;
	l->references[l->reference_count] = strdup(what);
	return l->references[l->reference_count++] ? 0 : -ENOMEM;
}

static int load_leases(struct lease_loading *load, sqlite3 *db, struct error *e)
{
	const struct lease_row cli = { .name = MANAGER_CLI_LEASE, .created_ns = clock_wall_ns() };
	int code = lease_rows_load(db, load_lease, load, e);

	if (code < 0)
		return code;
	code = lease_rows_load_holds(db, load_hold, load, e);
	if (code < 0)
		return code;
	code = lease_rows_load_references(db, load_reference, load, e);
	if (code < 0 || hashmap_find(load->m->leases, MANAGER_CLI_LEASE))
		return code;
	code = load_lease(&cli, load);
	if (code < 0)
		return error_set(e, code, "out of memory");
	lease_rows_insert(load->changes, hashmap_find(load->m->leases, MANAGER_CLI_LEASE));
	return 0;
}

/* The lease of its namespace holds every snapshot. */
static int hold_snapshot(struct lease_loading *load, struct record *r, const char *key)
{
	struct error e = { 0 };
	struct lease *l;
	int code = snapshot_keys_lease(load->m, key, &l, &e);

	if (code < 0)
		return code;
	code = record_refs_add(r, l, 1, 1);
	if (code == 0) {
		lease_rows_ensure(load->changes, l);
		lease_table_save_hold(load->changes, r, l);
	}
	snapshot_keys_put_lease(load->m, l);
	return code;
}

static int load_snapshot(const struct snapshot_row *row, void *user)
{
	struct lease_loading *load = user;
	cleanup(manager_unlock) struct manager *locked = manager_lock(load->m);
	struct record *r = record_graph_find(load->m->graph, row->record);
	struct snapshot *s;
	int code;

	if (!r) {
		if (!hashmap_find(load->m->quarantined, row->record))
			snapshot_rows_delete(load->changes, row->record);
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r->snapshot = s;
	*s = (struct snapshot){ .key = strdup(row->key),
				.kind = (enum snapshot_kind)row->kind,
				.created_ns = row->created_ns,
				.updated_ns = row->updated_ns,
				.size_bytes = row->size_bytes,
				.inodes = row->inodes,
				.record = r };
	code = s->key ? snapshot_keys_insert(locked, s) : -ENOMEM;
	if (code == 0 && !snapshot_keys_hold(r))
		code = hold_snapshot(load, r, s->key);
	return code;
}

int recover_leases_load(struct manager *m, sqlite3 *db, struct change_set *c, struct error *e)
{
	struct lease_loading load = { .m = m, .changes = c };
	int code = load_leases(&load, db, e);

	return code < 0 ? code : snapshot_rows_load(db, load_snapshot, &load, e);
}
