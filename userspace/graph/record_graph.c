/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_graph.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hashmap.h"
#include "graph/record_content.h"

#define SHORTEST_PREFIX 4

struct record_graph {
	struct hashmap *records; /* by id */
	struct hashmap *layers; /* by name */
};

struct record_graph *record_graph_new(void)
{
	cleanup(record_graph_free) struct record_graph *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->records = hashmap_new();
	g->layers = hashmap_new();
	if (!g->records || !g->layers)
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
		free(entry);
	hashmap_free(g->records);
	hashmap_free(g->layers);
	free(g);
}

struct record *record_new(const char *id, const char *description, const char *type)
{
	cleanup(record_free) struct record *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	(void)snprintf(r->id, sizeof(r->id), "%s", id); /* ids are made or checked by the caller */
	r->description = strdup(description);
	r->type = strdup(type);
	if (!r->description || !r->type)
		return NULL;
	return take_ptr(r);
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	free(s->key);
	free(s);
}

const char *snapshot_kind_name(const struct snapshot *s)
{
	static const char *const names[] = { [SNAPSHOT_VIEW] = "view",
					     [SNAPSHOT_ACTIVE] = "active",
					     [SNAPSHOT_COMMITTED] = "committed" };

	return s ? names[s->kind] : "";
}

void record_free(struct record *r)
{
	if (!r)
		return;
	record_labels_free(r->labels, r->label_count);
	for (size_t i = 0; i < r->image_ref_count; i++)
		free(r->image_refs[i]);
	free(r->image_refs);
	id_map_free(&r->id_map);
	snapshot_free(r->snapshot);
	record_content_free(r->content);
	free(r->description);
	free(r->type);
	free(r);
}

void record_labels_free(struct record_label *labels, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(labels[i].key);
		free(labels[i].value);
	}
	free(labels);
}

void record_swap_labels(struct record *a, struct record *b)
{
	struct record_label *labels = a->labels;
	size_t count = a->label_count;

	a->labels = b->labels;
	a->label_count = b->label_count;
	b->labels = labels;
	b->label_count = count;
}

int record_set_label(struct record *r, const char *key, const char *value)
{
	cleanup(free_ptr) char *new_key = NULL;
	cleanup(free_ptr) char *new_value = strdup(value);
	struct record_label *labels;

	if (!new_value)
		return -ENOMEM;
	for (size_t i = 0; i < r->label_count; i++) {
		if (strcmp(r->labels[i].key, key) == 0) {
			free(r->labels[i].value);
			r->labels[i].value = take_ptr(new_value);
			return 0;
		}
	}
	new_key = strdup(key);
	labels = realloc(r->labels, (r->label_count + 1) * sizeof(*labels));
	if (labels)
		r->labels = labels;
	if (!new_key || !labels)
		return -ENOMEM;
	labels[r->label_count].key = take_ptr(new_key);
	labels[r->label_count++].value = take_ptr(new_value);
	return 0;
}

int record_add_image_ref(struct record *r, const char *ref)
{
	cleanup(free_ptr) char *copy = NULL;
	char **refs;

	for (size_t i = 0; i < r->image_ref_count; i++)
		if (strcmp(r->image_refs[i], ref) == 0)
			return 0;
	copy = strdup(ref);
	refs = realloc(r->image_refs, (r->image_ref_count + 1) * sizeof(*refs));
	if (refs)
		r->image_refs = refs;
	if (!copy || !refs)
		return -ENOMEM;
	refs[r->image_ref_count++] = take_ptr(copy);
	return 0;
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

int record_graph_insert(struct record_graph *g, struct record *r, struct record *parent,
			struct layer *layer)
{
	int code;

	for (const struct record *ancestor = parent; ancestor; ancestor = ancestor->parent)
		if (ancestor == r)
			return -ELOOP;
	code = hashmap_insert(g->records, r->id, r);
	if (code < 0)
		return code;
	if (parent)
		link_child(parent, r);
	r->layer = layer;
	layer->owners++;
	return 0;
}

void record_graph_remove(struct record_graph *g, struct record *r)
{
	record_graph_unpair(r);
	unlink_child(r);
	if (--r->layer->owners == 0)
		record_graph_remove_layer(g, r->layer);
	(void)hashmap_remove(g->records, r->id); /* the same record */
	record_free(r);
}

void record_graph_pair(struct record *immutable, struct record *mutable_half)
{
	immutable->twin = mutable_half;
	mutable_half->twin = immutable;
}

void record_graph_unpair(struct record *r)
{
	if (!r->twin)
		return;
	r->twin->twin = NULL;
	r->twin = NULL;
}

struct layer *record_graph_add_layer(struct record_graph *g, const char *name)
{
	cleanup(free_ptr) struct layer *layer = calloc(1, sizeof(*layer));

	if (!layer)
		return NULL;
	(void)snprintf(layer->name, sizeof(layer->name), "%s", name); /* names have that length */
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
	free(layer);
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
				 "no record '%.*s'; an id has 25 characters, of which 4 or more "
				 "will do when they are unique (varve ls)",
				 RECORD_ID_LENGTH + 10, id);
	while ((r = hashmap_next(g->records, &position))) {
		if (r->state != RECORD_LIVE || strncmp(r->id, id, length) != 0)
			continue;
		if (found)
			return error_set(e, -EINVAL,
					 "'%s' is the beginning of several ids, %s and %s among "
					 "them: give more characters",
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
