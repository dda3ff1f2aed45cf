/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_refs.h"

#include <errno.h>
#include <string.h>

struct lease *lease_new(const char *name, int64_t created_ns, int64_t expires_ns,
			uint64_t connection)
{
	cleanup(lease_free) struct lease *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->name = strdup(name);
	if (!l->name)
		return NULL;
	l->created_ns = created_ns;
	l->expires_ns = expires_ns;
	l->connection = connection;
	return take_ptr(l);
}

void lease_free_references(char **references, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(references[i]);
	free(references);
}

void lease_free(struct lease *l)
{
	if (!l)
		return;
	lease_free_references(l->references, l->reference_count);
	id_map_free(&l->id_map);
	free(l->name);
	free(l);
}

struct hold *record_refs_find(const struct record *r, const struct lease *l)
{
	for (struct hold *h = r->holds; h; h = h->next_of_record)
		if (h->lease == l)
			return h;
	return NULL;
}

static void unlink_hold(struct hold *h)
{
	struct hold **at;

	for (at = &h->record->holds; *at != h; at = &(*at)->next_of_record)
		;
	*at = h->next_of_record;
	if (h->previous_of_lease)
		h->previous_of_lease->next_of_lease = h->next_of_lease;
	else
		h->lease->holds = h->next_of_lease;
	if (h->next_of_lease)
		h->next_of_lease->previous_of_lease = h->previous_of_lease;
	h->record->refs -= h->refs;
	free(h);
}

int record_refs_add(struct record *r, struct lease *l, unsigned refs, unsigned counting)
{
	struct hold *h = record_refs_find(r, l);

	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return -ENOMEM;
		*h = (struct hold){ .lease = l,
				    .record = r,
				    .next_of_record = r->holds,
				    .next_of_lease = l->holds };
		if (l->holds)
			l->holds->previous_of_lease = h;
		r->holds = h;
		l->holds = h;
	}
	if (r->refs == 0)
		r->mounted_while_held = r->mount != NULL;
	h->refs += refs;
	h->counting_refs += counting;
	r->refs += refs;
	return 0;
}

static unsigned counting_refs(const struct record *r)
{
	unsigned sum = 0;

	for (const struct hold *h = r->holds; h; h = h->next_of_record)
		sum += h->counting_refs;
	return sum;
}

int record_refs_drop(struct record *r, struct lease *l)
{
	struct hold *h = record_refs_find(r, l);
	bool last;

	if (!h)
		return -ENOENT;
	last = h->counting_refs > 0 && counting_refs(r) == 1;
	if (h->counting_refs)
		h->counting_refs--;
	h->refs--;
	r->refs--;
	if (h->refs == 0)
		unlink_hold(h);
	return last;
}

void record_refs_clear(struct record *r)
{
	while (r->holds)
		unlink_hold(r->holds);
}

static void mark_chain(struct record *r)
{
	for (; r && !r->marked; r = r->parent)
		r->marked = true;
}

void record_refs_mark_in_use(struct record_graph *g)
{
	struct record *r;

	for (size_t position = 0; (r = record_graph_next(g, &position));)
		r->marked = false;
	for (size_t position = 0; (r = record_graph_next(g, &position));) {
		if (!record_is_held(r))
			continue;
		mark_chain(r);
	}
}

static void share(struct record *r)
{
	for (; r && !r->shared; r = r->parent) {
		r->shared = true;
		if (r->twin)
			r->twin->shared = true;
	}
}

static bool is_named(const struct hashmap *chains, const struct digest *chain_id)
{
	return *chain_id->text && hashmap_find(chains, chain_id->text);
}

/* What is needed and is not the id of a record may be a chain id; several records can have it. */
static void share_by_chain(struct record_graph *g, const struct hashmap *chains)
{
	struct record *r;

	if (hashmap_count(chains) == 0)
		return;
	for (size_t position = 0; (r = record_graph_next(g, &position));) {
		const struct record_content *c = r->content;

		if (c && (is_named(chains, &c->chain_id) || is_named(chains, &c->blob_chain_id)))
			share(r);
	}
}

/* On records that are not shared, so far. */
static int share_referenced(struct record_graph *g, const struct hashmap *leases)
{
	cleanup(hashmap_free) struct hashmap *chains = hashmap_new();
	struct record *r;
	struct lease *l;

	if (!chains)
		return -ENOMEM;
	for (size_t position = 0; (l = hashmap_next(leases, &position));) {
		for (size_t i = 0; i < l->reference_count; i++) {
			r = record_graph_find(g, l->references[i]);
			if (r)
				share(r);
			else if (hashmap_insert(chains, l->references[i], l) == -ENOMEM)
				return -ENOMEM;
		}
	}
	share_by_chain(g, chains);
	return 0;
}

int record_refs_mark_shared(struct record_graph *g, const struct hashmap *leases)
{
	struct record *r;

	for (size_t position = 0; (r = record_graph_next(g, &position));)
		r->shared = false;
	return share_referenced(g, leases);
}

/* What is held has a hold of a lease, so that not every record has to be asked. */
static void mark_held(const struct hashmap *leases)
{
	const struct lease *l;

	for (size_t position = 0; (l = hashmap_next(leases, &position));)
		for (const struct hold *h = l->holds; h; h = h->next_of_lease) {
			mark_chain(h->record);
			if (h->record->twin && h->record->twin->is_mutable)
				mark_chain(h->record->twin);
		}
}

int record_refs_mark(struct record_graph *g, const struct hashmap *leases)
{
	struct record *r;

	for (size_t position = 0; (r = record_graph_next(g, &position));)
		r->marked = r->shared = false;
	mark_held(leases);
	return share_referenced(g, leases);
}
