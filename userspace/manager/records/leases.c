/* SPDX-License-Identifier: Apache-2.0 */
/* Leases made, listed and ended: named ones live in the database, a connection's own one in memory
 * until it closes. */
#include "manager/records/leases.h"

#include <errno.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_attach.h"
#include "manager/records/record_hold.h"
#include "manager/state/snapshot_lease.h"
#include "store/lease_rows.h"

#define LEASES_MAX 100000

static int check_name(const char *name, struct error *e)
{
	size_t length = strlen(name);

	if (length == 0 || length > MANAGER_LEASE_NAME_MAX)
		return error_set(e, -EINVAL, "a lease's name has 1 to %d bytes, not %zu",
				 MANAGER_LEASE_NAME_MAX, length);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == '/' || *c == 0x7f)
			return error_set(e, -EINVAL,
					 "a lease's name must not contain spaces, control "
					 "characters or '/'");
	if (name[0] == '.')
		return error_set(e, -EINVAL, "a lease's name must not begin with '.'");
	return 0;
}

/* Puts the new lease among the others, hidden; waits while one of that name is being removed. Takes
 * the lease on success. */
static int reserve_name(struct manager *m, struct lease *l, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct lease *other;
	int code;

	l->hidden = true;
	while ((other = hashmap_find(locked->leases, l->name)) && other->hidden)
		manager_wait(locked);
	if (hashmap_count(locked->leases) >= LEASES_MAX)
		return error_set(e, -EMFILE, "lease '%s': the store has %d leases already", l->name,
				 LEASES_MAX);
	code = hashmap_insert(locked->leases, l->name, l);
	if (code == -EEXIST)
		return error_set(e, code, "lease '%s' exists already", l->name);
	return code < 0 ? error_set(e, code, "lease '%s': %s", l->name, strerror(-code)) : 0;
}

/* A lease in no table yet. */
static int build_lease(struct manager *m, const struct lease_options *o, struct lease **ret_lease,
		       struct error *e)
{
	cleanup(lease_free) struct lease *l = NULL;
	int64_t now = clock_wall_ns();
	int code = check_name(o->name, e);

	if (code < 0)
		return code;
	if (o->expires_after_ns < 0 || o->expires_after_ns > INT64_MAX - now)
		return error_set(e, -EINVAL, "lease '%s': invalid time of expiry", o->name);
	l = lease_new(o->name, now, o->expires_after_ns ? now + o->expires_after_ns : 0, 0);
	if (!l)
		return error_set(e, -ENOMEM, "out of memory");
	code = id_map_parse(o->uid_map, o->gid_map, &l->id_map, e);
	if (code < 0)
		return error_context(e, "lease '%s'", o->name);
	code = mount_attach_check_map(m, &l->id_map, e);
	if (code < 0)
		return error_context(e, "lease '%s'", o->name);
	*ret_lease = take_ptr(l);
	return 0;
}

/* The lease is found again, or is removed from the table and freed. */
static void end_hidden(struct manager *m, struct lease *l, bool removed)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	l->hidden = false;
	if (removed) {
		(void)hashmap_remove(locked->leases, l->name); /* it is in the table */
		lease_free(l);
	}
	pthread_cond_broadcast(&locked->idle);
}

int leases_create(struct manager *m, const struct lease_options *options, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(lease_free) struct lease *unborn = NULL;
	struct lease *l;
	int code = build_lease(m, options, &unborn, e);

	if (code < 0)
		return code;
	code = reserve_name(m, unborn, e);
	if (code < 0)
		return code;
	l = take_ptr(unborn);
	lease_rows_insert(&c, l);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	end_hidden(m, l, code < 0);
	return code;
}

/* Releases one of the records that the lease holds, and tells whether there was one. */
static int release_one(struct manager *m, struct lease *l, bool *ret_found, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	*ret_found = l->holds;
	if (!l->holds)
		return 0;
	if (l->holds->record->busy) {
		manager_wait(locked);
		return 0;
	}
	return record_hold_drop_ref(locked, l->holds->record, l, e);
}

/* Releases everything that a lease holds, which is hidden from all other threads. */
static int release_all(struct manager *m, struct lease *l, struct error *e)
{
	bool found = true;
	int code = 0;

	while (found && code == 0)
		code = release_one(m, l, &found, e);
	return code;
}

/* Hides the lease, once no operation works with it any more. -ENOENT. */
static int hide_lease(struct manager *m, const char *name, struct lease **ret_lease,
		      struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct lease *l = hashmap_find(locked->leases, name);

	if (!l || l->connection || l->hidden)
		return error_set(e, -ENOENT, "no lease '%.*s' (varve lease ls)",
				 MANAGER_LEASE_NAME_MAX, name);
	l->hidden = true;
	while (l->users > 0)
		manager_wait(locked);
	*ret_lease = l;
	return 0;
}

static int remove_hidden(struct manager *m, struct lease *l, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code = release_all(m, l, e);

	if (code < 0)
		return code;
	lease_rows_delete(&c, l->name);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

int leases_remove(struct manager *m, const char *name, struct error *e)
{
	struct lease *l = NULL;
	int code;

	if (strcmp(name, MANAGER_CLI_LEASE) == 0)
		return error_set(e, -EINVAL, "the lease '%s' cannot be removed", name);
	if (snapshot_lease_is_one(name))
		return snapshot_lease_refuse(name, e);
	code = hide_lease(m, name, &l, e);
	if (code < 0)
		return code;
	code = remove_hidden(m, l, e);
	end_hidden(m, l, code == 0);
	return code;
}

bool leases_has_connection(struct manager *m, uint64_t connection)
{
	char name[LEASE_CONNECTION_NAME_SIZE];

	lease_table_connection_name(connection, name);
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	return hashmap_find(locked->leases, name) != NULL;
}

/* The ref ends although what it means for the record could not be done: housekeeping tries again.
 */
static void drop_first_hold(struct manager *m, struct lease *l)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r = l->holds ? l->holds->record : NULL;

	if (!r)
		return;
	if (r->mount)
		r->mount->unwanted = true;
	(void)record_refs_drop(r, l); /* it has one */
	pthread_cond_broadcast(&locked->idle);
}

void leases_connection_closed(struct manager *m, uint64_t connection)
{
	cleanup(lease_free) struct lease *l = NULL;
	struct error e = { 0 };
	char name[LEASE_CONNECTION_NAME_SIZE];

	lease_table_connection_name(connection, name);
	manager_lock(m);
	l = hashmap_remove(m->leases, name);
	manager_unlock(m);
	while (l && release_all(m, l, &e) < 0) {
		manager_report(m, true, "release what a closed connection held: %s", e.text);
		drop_first_hold(m, l);
	}
}

void leases_free(struct lease_view *leases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < leases[i].hold_count; k++)
			free(leases[i].holds[k].name);
		free(leases[i].holds);
		lease_free_references(leases[i].references, leases[i].reference_count);
		id_map_free(&leases[i].id_map);
		free(leases[i].name);
	}
	free(leases);
}

static int view_lease(const struct lease *l, struct lease_view *v)
{
	size_t count = 0;

	for (const struct hold *h = l->holds; h; h = h->next_of_lease)
		count++;
	*v = (struct lease_view){ .name = strdup(l->name),
				  .created_ns = l->created_ns,
				  .expires_ns = l->expires_ns,
				  .ephemeral = l->connection != 0,
				  .holds = calloc(count + 1, sizeof(*v->holds)),
				  .references = calloc(l->reference_count + 1, sizeof(char *)) };
	if (!v->name || !v->holds || !v->references || id_map_copy(&l->id_map, &v->id_map) < 0)
		return -ENOMEM;
	for (; v->reference_count < l->reference_count; v->reference_count++)
		if (!(v->references[v->reference_count] =
			      strdup(l->references[v->reference_count])))
			return -ENOMEM;
	for (const struct hold *h = l->holds; h; h = h->next_of_lease) {
		v->holds[v->hold_count].refs = h->refs;
		v->holds[v->hold_count].name = strdup(h->record->id);
		if (!v->holds[v->hold_count++].name)
			return -ENOMEM;
	}
	return 0;
}

/* The names of the leases that are there now, which the caller frees. */
static int name_leases(struct manager *m, char ***ret_names, size_t *ret_count)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	char **names = calloc(hashmap_count(locked->leases) + 1, sizeof(*names));
	size_t count = 0, position = 0;
	const struct lease *l;
	int code = names ? 0 : -ENOMEM;

	while (code == 0 && (l = hashmap_next(locked->leases, &position)))
		code = (names[count++] = strdup(l->name)) ? 0 : -ENOMEM;
	*ret_names = names;
	*ret_count = names ? count : 0;
	return code;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* With the lock for each lease anew: each may have very many references. */
static int add_view(struct manager *m, const char *name, struct lease_view *leases, size_t *count)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct lease *l = hashmap_find(locked->leases, name);

	return !l || l->hidden ? 0 : view_lease(l, &leases[(*count)++]);
}

static int view_leases(struct manager *m, char *const *names, size_t name_count,
		       const atomic_bool *cancelled, struct lease_view *leases, size_t *count,
		       struct error *e)
{
	for (size_t i = 0; i < name_count; i++) {
		int code = cancellation_check(cancelled, e);

		if (code < 0)
			return code;
		if (add_view(m, names[i], leases, count) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

int leases_list(struct manager *m, const atomic_bool *cancelled, struct lease_view **ret_leases,
		size_t *ret_count, struct error *e)
{
	struct lease_view *leases = NULL;
	char **names = NULL;
	size_t name_count, count = 0;
	int code = name_leases(m, &names, &name_count);

	if (code == 0)
		leases = calloc(name_count + 1, sizeof(*leases));
	if (!leases) {
		code = error_set(e, -ENOMEM, "out of memory");
	} else {
		qsort(names, name_count, sizeof(*names), by_name);
		code = view_leases(m, names, name_count, cancelled, leases, &count, e);
	}
	lease_free_references(names, name_count);
	if (code < 0) {
		leases_free(leases, count);
		return code;
	}
	*ret_leases = leases;
	*ret_count = count;
	return 0;
}
