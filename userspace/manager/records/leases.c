/* SPDX-License-Identifier: Apache-2.0 */
/* Leases made, listed and ended: named ones live in the database, a connection's own one in memory
 * until it closes. */
#include "manager/records/leases.h"

#include <errno.h>
#include <string.h>

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

/* Puts the new lease among the others, hidden; waits for one of that name that is just going. */
static int reserve_name(struct manager *m, struct lease *l, struct error *e)
{
	const struct lease *other;
	int code;

	l->hidden = true;
	manager_lock(m);
	while ((other = hashmap_find(m->leases, l->name)) && other->hidden)
		manager_wait(m);
	code = hashmap_count(m->leases) < LEASES_MAX ? hashmap_insert(m->leases, l->name, l)
						     : -EMFILE;
	manager_unlock(m);
	if (code == 0)
		return 0;
	return error_set(e, code, "lease '%s': %s", l->name,
			 code == -EEXIST   ? "there is one of that name already"
			 : code == -EMFILE ? "there are too many leases"
					   : strerror(-code));
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
		return error_set(e, -EINVAL, "lease '%s': it cannot expire at such a time",
				 o->name);
	l = lease_new(o->name, now, o->expires_after_ns ? now + o->expires_after_ns : 0, 0);
	if (!l)
		return error_set(e, -ENOMEM, "out of memory");
	code = id_map_parse(o->uid_map, o->gid_map, &l->id_map, e);
	if (code == 0)
		code = mount_attach_check_map(m, &l->id_map, e);
	if (code < 0)
		return error_context(e, "lease '%s'", o->name);
	*ret_lease = take_ptr(l);
	return 0;
}

int leases_create(struct manager *m, const struct lease_options *options, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct lease *l = NULL;
	int code = build_lease(m, options, &l, e);

	if (code < 0)
		return code;
	code = reserve_name(m, l, e);
	if (code < 0) {
		lease_free(l);
		return code;
	}
	lease_rows_insert(&c, l);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	manager_lock(m);
	l->hidden = false;
	if (code < 0) {
		(void)hashmap_remove(m->leases, l->name); /* inserted above */
		lease_free(l);
	}
	pthread_cond_broadcast(&m->idle);
	manager_unlock(m);
	return code;
}

/* Releases everything that a lease holds; nobody can find it meanwhile. */
static int release_all(struct manager *m, struct lease *l, struct error *e)
{
	for (;;) {
		struct record *r;
		int code;

		manager_lock(m);
		r = l->holds ? l->holds->record : NULL;
		if (!r) {
			manager_unlock(m);
			return 0;
		}
		if (r->busy) {
			manager_wait(m);
			manager_unlock(m);
			continue;
		}
		code = record_hold_drop_ref(m, r, l, e);
		manager_unlock(m);
		if (code < 0)
			return code;
	}
}

int leases_remove(struct manager *m, const char *name, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct lease *l;
	int code;

	if (strcmp(name, MANAGER_CLI_LEASE) == 0)
		return error_set(e, -EINVAL, "the lease '%s' always exists", name);
	if (snapshot_lease_is_one(name))
		return snapshot_lease_refuse(name, e);
	manager_lock(m);
	l = hashmap_find(m->leases, name);
	if (l && (l->connection || l->hidden))
		l = NULL;
	if (l)
		l->hidden = true;
	while (l && l->users > 0)
		manager_wait(m);
	manager_unlock(m);
	if (!l)
		return error_set(e, -ENOENT, "no lease '%.*s' (varve lease ls)",
				 MANAGER_LEASE_NAME_MAX, name);

	code = release_all(m, l, e);
	if (code == 0) {
		lease_rows_delete(&c, l->name);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	}
	manager_lock(m);
	l->hidden = false;
	if (code == 0) {
		(void)hashmap_remove(m->leases, l->name); /* found above */
		lease_free(l);
	}
	pthread_cond_broadcast(&m->idle);
	manager_unlock(m);
	return code;
}

bool leases_has_connection(struct manager *m, uint64_t connection)
{
	char name[LEASE_CONNECTION_NAME_SIZE];
	bool found;

	lease_table_connection_name(connection, name);
	manager_lock(m);
	found = hashmap_find(m->leases, name) != NULL;
	manager_unlock(m);
	return found;
}

void leases_connection_closed(struct manager *m, uint64_t connection)
{
	struct error e = { 0 };
	char name[LEASE_CONNECTION_NAME_SIZE];
	struct lease *l;

	lease_table_connection_name(connection, name);
	manager_lock(m);
	l = hashmap_remove(m->leases, name);
	manager_unlock(m);
	if (!l)
		return;
	while (release_all(m, l, &e) < 0) {
		struct record *r;

		/* Of this record the ref goes all the same, and housekeeping tries the rest of it.
		 */
		manager_report(m, true, "release what a closed connection held: %s", e.text);
		manager_lock(m);
		r = l->holds ? l->holds->record : NULL;
		if (r && r->mount)
			r->mount->unwanted = true;
		if (r)
			record_refs_drop(r, l);
		manager_unlock(m);
	}
	lease_free(l);
}

void leases_free(struct lease_view *leases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < leases[i].hold_count; k++)
			free(leases[i].holds[k].name);
		free(leases[i].holds);
		lease_free_needs(leases[i].needs, leases[i].need_count);
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
				  .needs = calloc(l->need_count + 1, sizeof(char *)) };
	if (!v->name || !v->holds || !v->needs || id_map_copy(&l->id_map, &v->id_map) < 0)
		return -ENOMEM;
	for (; v->need_count < l->need_count; v->need_count++)
		if (!(v->needs[v->need_count] = strdup(l->needs[v->need_count])))
			return -ENOMEM;
	for (const struct hold *h = l->holds; h; h = h->next_of_lease) {
		v->holds[v->hold_count].refs = h->refs;
		v->holds[v->hold_count].name = strdup(h->record->id);
		if (!v->holds[v->hold_count++].name)
			return -ENOMEM;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct lease_view *)a)->name, ((const struct lease_view *)b)->name);
}

int leases_list(struct manager *m, struct lease_view **ret_leases, size_t *ret_count,
		struct error *e)
{
	struct lease_view *leases;
	size_t count = 0, position = 0;
	struct lease *l;
	int code = 0;

	manager_lock(m);
	leases = calloc(hashmap_count(m->leases) + 1, sizeof(*leases));
	while (leases && code == 0 && (l = hashmap_next(m->leases, &position)))
		if (!l->hidden)
			code = view_lease(l, &leases[count++]);
	manager_unlock(m);
	if (!leases || code < 0) {
		leases_free(leases, count);
		return error_set(e, -ENOMEM, "out of memory");
	}
	qsort(leases, count, sizeof(*leases), by_name);
	*ret_leases = leases;
	*ret_count = count;
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted copies, each once. */
static int copy_needs(const char *const *needs, size_t count, char ***ret_copies, size_t *ret_count,
		      struct error *e)
{
	char **copies;
	size_t copied = 0, kept = 0;

	if (count > MANAGER_NEEDS_MAX)
		return error_set(e, -EINVAL, "a lease needs at most %d things, not %zu",
				 MANAGER_NEEDS_MAX, count);
	for (size_t i = 0; i < count; i++)
		if (!*needs[i] || strlen(needs[i]) > MANAGER_LABEL_TEXT_MAX)
			return error_set(e, -EINVAL,
					 "what a lease needs is an id or a chain id, of 1 to %d "
					 "bytes",
					 MANAGER_LABEL_TEXT_MAX);
	copies = calloc(count + 1, sizeof(*copies));
	while (copies && copied < count && (copies[copied] = strdup(needs[copied])))
		copied++;
	if (copied < count || !copies) {
		if (copies)
			lease_free_needs(copies, copied);
		return error_set(e, -ENOMEM, "out of memory");
	}
	qsort(copies, count, sizeof(*copies), compare_texts);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && strcmp(copies[kept - 1], copies[i]) == 0)
			free(copies[i]);
		else
			copies[kept++] = copies[i];
	}
	*ret_copies = copies;
	*ret_count = kept;
	return 0;
}

int leases_set_references(struct manager *m, const struct lease_holder *holder,
			  const char *const *needs, size_t count, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct lease *l = NULL;
	size_t copied = 0, old_count;
	char **copies = NULL, **old;
	int code = copy_needs(needs, count, &copies, &copied, e);

	if (code < 0)
		return code;
	ranked_lock_acquire(&m->needs_lock);
	manager_lock(m);
	code = lease_table_find(m, holder, &l, e);
	manager_unlock(m);
	if (code == 0 && l->connection == 0) {
		lease_rows_set_needs(&c, l->name, copies, copied);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	}
	if (code < 0) {
		lease_free_needs(copies, copied);
		copies = NULL;
	}
	manager_lock(m);
	if (code == 0) {
		old = l->needs;
		old_count = l->need_count;
		l->needs = copies;
		l->need_count = copied;
		lease_free_needs(old, old_count);
	}
	if (l)
		lease_table_put(m, l);
	manager_unlock(m);
	ranked_lock_release(&m->needs_lock);
	return code;
}
