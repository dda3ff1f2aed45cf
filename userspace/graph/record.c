/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record.h"

#include <errno.h>
#include <string.h>

#include "base/text_copy.h"
#include "graph/record_content.h"

static const char *const types[] = { "regular",
				     "internal",
				     "frontend",
				     "source.local",
				     "exec.cachemount",
				     "source.git.checkout",
				     RECORD_TYPE_IMAGE_LAYER };

static bool is_constant(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (type == types[i])
			return true;
	return false;
}

const char *record_type_copy(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return types[i];
	return strdup(type);
}

void record_type_free(const char *type)
{
	if (!is_constant(type))
		free((char *)type);
}

struct record *record_new(const char *id, const char *description, const char *type)
{
	cleanup(record_free) struct record *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	text_copy(r->id, sizeof(r->id), id); /* ids are made or checked by the caller */
	r->description = strdup(description);
	r->type = record_type_copy(type);
	if (!r->description || !r->type)
		return NULL;
	return take_ptr(r);
}

struct layer_access layer_access(const struct layer *layer)
{
	struct layer_access access = { .when = layer->access };

	if (layer->counts)
		access.counts = *layer->counts;
	return access;
}

struct layer_counts *layer_counts_make(struct layer *layer)
{
	if (!layer->counts)
		layer->counts = calloc(1, sizeof(*layer->counts));
	return layer->counts;
}

void layer_free(struct layer *layer)
{
	if (!layer)
		return;
	free(layer->counts);
	free(layer);
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	record_content_free(s->unpacked);
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
	record_type_free(r->type);
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

bool record_has_image_ref(const struct record *r, const char *ref)
{
	for (size_t i = 0; i < r->image_ref_count; i++)
		if (strcmp(r->image_refs[i], ref) == 0)
			return true;
	return false;
}

int record_add_image_ref(struct record *r, const char *ref)
{
	cleanup(free_ptr) char *copy = NULL;
	char **refs;

	if (record_has_image_ref(r, ref))
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

struct record *record_lowest_lazy(struct record *r)
{
	struct record *lowest = NULL;

	for (; r; r = r->parent)
		if (r->layer->lazy)
			lowest = r;
	return lowest;
}
