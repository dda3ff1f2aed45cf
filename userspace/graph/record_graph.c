/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_graph.h"

#include <errno.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/text_copy.h"

#define SHORTEST_PREFIX 4

struct record_graph {
	struct hashmap *records; /* by id */
	struct hashmap *layers; /* by name */
	struct chain_index chains;
};

struct record_graph *record_graph_new(void)
{
	cleanup(record_graph_free) struct record_graph *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->records = hashmap_new_of(offsetof(struct record, id));
	g->layers = hashmap_new_of(offsetof(struct layer, name));
	if (!g->records || !g->layers || chain_index_init(&g->chains) < 0)
		return NULL;
	return take_ptr(g);
}

void record_graph_free(struct record_graph *g)
{
	size_t position = 0;
	void *entry;

	if (!g)
		return;
	while (g->records && (entry = hashmap_next(g->records, &position)))
		record_free(entry);
	position = 0;
	while (g->layers && (entry = hashmap_next(g->layers, &position)))
		layer_free(entry);
	hashmap_free(g->records);
	hashmap_free(g->layers);
	chain_index_free(&g->chains);
	free(g);
}

static void link_child(struct record *parent, struct record *r)
{
	r->parent = parent;
	r->previous_sibling = NULL;
	r->next_sibling = parent->first_child;
	if (parent->first_child)
		parent->first_child->previous_sibling = r;
	parent->first_child = r;
}

static void unlink_child(struct record *r)
{
	if (r->previous_sibling)
		r->previous_sibling->next_sibling = r->next_sibling;
	else if (r->parent)
		r->parent->first_child = r->next_sibling;
	if (r->next_sibling)
		r->next_sibling->previous_sibling = r->previous_sibling;
}

static void link_owner(struct layer *layer, struct record *r)
{
	layer->owners++;
	r->next_owner = layer->first_owner;
	layer->first_owner = r;
}

/* A layer has few owners. */
static void unlink_owner(struct layer *layer, struct record *r)
{
	struct record **at = &layer->first_owner;

	layer->owners--;
	while (*at != r)
		at = &(*at)->next_owner;
	*at = r->next_owner;
}

/* Whether r is the record or one of its ancestors. Without children it can only be the record. */
static bool is_ancestor(const struct record *r, const struct record *of)
{
	while (of && of != r && r->first_child)
		of = of->parent;
	return of == r;
}

int record_graph_insert(struct record_graph *g, struct record *r, struct record *parent,
			struct layer *layer)
{
	int code;

	if (is_ancestor(r, parent))
		return -ELOOP;
	code = hashmap_insert(g->records, r->id, r);
	if (code < 0)
		return code;
	if (parent)
		link_child(parent, r);
	r->layer = layer;
	link_owner(layer, r);
	chain_index_add(&g->chains, r);
	return 0;
}

void record_graph_set_parent(struct record *r, struct record *parent)
{
	link_child(parent, r);
}

int record_graph_reserve(struct record_graph *g, size_t records, size_t chains, size_t layers)
{
	chain_index_reserve(&g->chains, chains);
	if (hashmap_reserve(g->records, records) < 0)
		return -ENOMEM;
	return hashmap_reserve(g->layers, layers);
}

static void unpair(struct record *r)
{
	if (!r->twin)
		return;
	r->twin->twin = NULL;
	r->twin = NULL;
}

void record_graph_remove(struct record_graph *g, struct record *r)
{
	unpair(r);
	unlink_child(r);
	chain_index_remove(&g->chains, r);
	unlink_owner(r->layer, r);
	if (r->layer->owners == 0)
		record_graph_remove_layer(g, r->layer);
	(void)hashmap_remove(g->records, r->id); /* the same record */
	record_free(r);
}

void record_graph_set_content(struct record_graph *g, struct record *r,
			      struct record_content *content)
{
	chain_index_remove(&g->chains, r);
	record_content_free(r->content);
	r->content = content;
	chain_index_add(&g->chains, r);
}

const struct chain_index *record_graph_chains(const struct record_graph *g)
{
	return &g->chains;
}

void record_graph_pair(struct record *immutable, struct record *mutable_half)
{
	immutable->twin = mutable_half;
	mutable_half->twin = immutable;
}

struct layer *record_graph_add_layer(struct record_graph *g, const char *name)
{
	cleanup(layer_free) struct layer *layer = calloc(1, sizeof(*layer));

	if (!layer)
		return NULL;
	text_copy(layer->name, sizeof(layer->name), name); /* names have that length */
	if (hashmap_insert(g->layers, layer->name, layer) < 0)
		return NULL;
	return take_ptr(layer);
}

struct layer *record_graph_find_layer(const struct record_graph *g, const char *name)
{
	return hashmap_find(g->layers, name);
}

void record_graph_remove_layer(struct record_graph *g, struct layer *layer)
{
	(void)hashmap_remove(g->layers, layer->name); /* the same layer */
	layer_free(layer);
}

struct layer *record_graph_next_layer(const struct record_graph *g, size_t *position)
{
	return hashmap_next(g->layers, position);
}

struct record *record_graph_find(const struct record_graph *g, const char *id)
{
	return hashmap_find(g->records, id);
}

int record_graph_resolve(const struct record_graph *g, const char *id, struct record **ret_record,
			 struct error *e)
{
	struct record *r = hashmap_find(g->records, id), *found = NULL;
	size_t length = strlen(id), position = 0;

	if (r && r->state == RECORD_LIVE) {
		*ret_record = r;
		return 0;
	}
	if (length < SHORTEST_PREFIX || length >= RECORD_ID_LENGTH)
		return error_set(e, -ENOENT,
				 "no record '%.*s': give an id of 25 characters, or a unique "
				 "prefix of at least 4 (varve ls)",
				 RECORD_ID_LENGTH + 10, id);
	while ((r = hashmap_next(g->records, &position))) {
		if (r->state != RECORD_LIVE || strncmp(r->id, id, length) != 0)
			continue;
		if (found)
			return error_set(e, -EINVAL,
					 "'%s' is a prefix of several ids, such as %s and %s: "
					 "give more characters",
					 id, found->id, r->id);
		found = r;
	}
	if (!found)
		return error_set(e, -ENOENT, "no record '%s' (varve ls)", id);
	*ret_record = found;
	return 0;
}

struct record *record_graph_next(const struct record_graph *g, size_t *position)
{
	return hashmap_next(g->records, position);
}

size_t record_graph_count(const struct record_graph *g)
{
	return hashmap_count(g->records);
}

size_t record_graph_layer_count(const struct record_graph *g)
{
	return hashmap_count(g->layers);
}

size_t record_graph_depth(const struct record *r)
{
	size_t depth = 0;

	for (; r; r = r->parent)
		depth++;
	return depth;
}
