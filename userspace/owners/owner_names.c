/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"

static int add(struct owner_names *names, const struct eviction_owned *layer,
	       const struct owner_name *name)
{
	struct owner_name *items =
		vec_reserve(names->items, &names->capacity, names->count + 1, sizeof(*items));
	struct owner_name *n;

	if (!items)
		return -ENOMEM;
	names->items = items;
	n = &items[names->count++];
	*n = *name;
	n->id = strdup(name->id);
	n->description = strdup(name->description);
	memcpy(n->record, layer->id, sizeof(n->record));
	return n->id && n->description ? 0 : -ENOMEM;
}

/* Nanoseconds since the epoch; 0 for what is absent or makes no sense. */
static int64_t time_of(const Moby__Buildkit__V1__Timestamp *t)
{
	if (!t || t->seconds < 0 || t->seconds > INT64_MAX / NS_PER_S - 1 || t->nanos < 0 ||
	    t->nanos >= NS_PER_S)
		return 0;
	return t->seconds * NS_PER_S + t->nanos;
}

static int add_records(const struct owner_view *v, const char *owner, struct owner_names *names)
{
	int code = 0;

	for (size_t i = 0; i < v->count && code == 0; i++) {
		const Moby__Buildkit__V1__UsageRecord *said = v->answer.records[i].said;
		const struct owner_name name = {
			.owner = owner,
			.kind = "record",
			.id = said->id,
			.description = said->description,
			.last_used_ns = time_of(said->last_used_at),
			.kept = v->kept[i] == OWNER_KEEP_NOT ? NULL : owner_view_reason(v->kept[i]),
		};

		if (v->layer_of[i])
			code = add(names, v->layer_of[i], &name);
	}
	return code;
}

static const struct eviction_owned *below(const struct owner_view *v,
					  const struct eviction_owned *layer)
{
	return layer->below == PRUNE_NO_PARENT ? NULL : &v->layers.items[layer->below];
}

/* What needs a snapshot needs all below it. */
static int add_chain(const struct owner_view *v, const struct eviction_owned *layer,
		     const struct owner_name *name, struct owner_names *names)
{
	for (; layer; layer = below(v, layer))
		if (add(names, layer, name) < 0)
			return -ENOMEM;
	return 0;
}

static int add_images(const struct owner_view *v, const char *owner, struct owner_names *names)
{
	int code = 0;

	for (size_t i = 0; i < v->count; i++) {
		const struct owner_record *r = &v->answer.records[i];
		const struct owner_name name = {
			.owner = owner,
			.kind = "image",
			.id = r->said->id,
			.description = r->said->description,
			.kept = v->kept[i] == OWNER_KEEP_NOT ? NULL : owner_view_reason(v->kept[i]),
		};

		for (size_t k = 0; code == 0 && r->image && k < v->images[i].count; k++)
			code = add_chain(v, &v->layers.items[v->images[i].tops[k]], &name, names);
	}
	return code;
}

static int add_containers(const struct owner_view *v, const char *owner, struct owner_names *names)
{
	for (size_t i = 0; i < v->answer.container_count; i++) {
		const Varve__Containerd__Container *c = v->answer.containers[i].said;
		const struct owner_name name = { .owner = owner,
						 .kind = "container",
						 .id = c->id,
						 .description = c->image,
						 .kept = "needed by the container" };

		if (add_chain(v, v->container_layer[i], &name, names) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int by_record(const void *a, const void *b)
{
	const struct owner_name *x = a, *y = b;
	int order = strcmp(x->record, y->record);

	/* A record first, then images, then containers. */
	order = order ? order : strcmp(y->kind, x->kind);
	return order ? order : strcmp(x->id, y->id);
}

int owner_names_make(const struct owner_view *v, const struct owner_settings *o,
		     struct owner_names *ret_names, struct error *e)
{
	cleanup(owner_names_free) struct owner_names names = { 0 };

	if (add_records(v, o->name, &names) < 0 || add_images(v, o->name, &names) < 0 ||
	    add_containers(v, o->name, &names) < 0)
		return error_set(e, -ENOMEM, "out of memory for the names of %zu records",
				 v->count);
	if (names.count > 0)
		qsort(names.items, names.count, sizeof(*names.items), by_record);
	*ret_names = names;
	names = (struct owner_names){ 0 };
	return 0;
}

void owner_names_free(struct owner_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		free(names->items[i].id);
		free(names->items[i].description);
	}
	free(names->items);
	*names = (struct owner_names){ 0 };
}

int owner_names_visit(const struct owner_names *names, const char *record,
		      int (*visit)(const struct owner_name *name, void *user), void *user)
{
	size_t from = 0, to = names->count;
	int code = 0;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(names->items[middle].record, record) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	for (; from < names->count && code >= 0; from++) {
		if (strcmp(names->items[from].record, record) != 0)
			break;
		code = visit(&names->items[from], user);
	}
	return code < 0 ? code : 0;
}
