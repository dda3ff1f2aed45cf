/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/image_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"

struct image_space {
	const struct eviction_owned *layers;
	size_t layer_count;
	const struct image_tops_found *images;
	const struct owner_record *records;
	size_t record_count;
	const size_t *record_of; /* while it is made */
	unsigned *needed; /* by layer: images whose top it is, snapshots on it, leases */
	unsigned *others; /* of these, what is not an image, and not below one */
	size_t *group; /* by layer: the first snapshot that shares its files */
	unsigned *sharers; /* by group: snapshots that are there */
	bool *counted; /* by group: in the total */
	int64_t total_bytes, total_inodes;
};

void image_space_free(struct image_space *s)
{
	if (!s)
		return;
	free(s->needed);
	free(s->others);
	free(s->group);
	free(s->sharers);
	free(s->counted);
	free(s);
}

static const struct eviction_owned *layer_at(const struct image_space *s, size_t i)
{
	return &s->layers[i];
}

static int group_layers(struct image_space *s)
{
	cleanup(hashmap_free) struct hashmap *by_layer = hashmap_new();

	if (!by_layer)
		return -ENOMEM;
	for (size_t i = 0; i < s->layer_count; i++) {
		const struct eviction_owned *layer = layer_at(s, i);
		const struct eviction_owned *first = hashmap_find(by_layer, layer->layer);

		if (!first && hashmap_insert(by_layer, layer->layer, (void *)layer) < 0)
			return -ENOMEM;
		s->group[i] = first ? (size_t)(first - s->layers) : i;
		s->sharers[s->group[i]]++;
	}
	return 0;
}

/* Each layer is in the total once. Those of the cache are in that of the cache. */
static void count_chain(struct image_space *s, size_t at)
{
	for (; at != PRUNE_NO_PARENT; at = layer_at(s, at)->below) {
		if (s->counted[s->group[at]])
			continue;
		s->counted[s->group[at]] = true;
		if (s->record_of[at] != PRUNE_NO_PARENT)
			continue;
		s->total_bytes += layer_at(s, at)->record.size_bytes;
		s->total_inodes += layer_at(s, at)->record.inodes;
	}
}

static void count_images(struct image_space *s, bool *in_image)
{
	for (size_t i = 0; i < s->record_count; i++) {
		const struct image_tops_found *image = &s->images[i];

		for (size_t k = 0; k < image->count; k++) {
			s->needed[image->tops[k]]++;
			count_chain(s, image->tops[k]);
			for (size_t at = image->tops[k]; at != PRUNE_NO_PARENT;
			     at = layer_at(s, at)->below)
				in_image[at] = true;
		}
	}
}

/* A lease keeps what it names, and a record of the cache has a lease. */
static void count_leases(struct image_space *s, const struct owner_answer *a,
			 const struct snapshot_names *names)
{
	for (size_t i = 0; i < a->namespace_count; i++) {
		const struct owner_namespace *n = &a->namespaces[i];

		for (size_t k = 0; k < n->leases.count; k++) {
			const struct owner_lease *lease = &n->leases.items[k];

			for (size_t x = 0; x < lease->count; x++) {
				const struct eviction_owned *layer =
					snapshot_names_find(names, n->name, lease->snapshots[x]);

				if (layer)
					s->needed[layer - s->layers]++;
			}
		}
	}
}

/* A container that Docker has stopped is known by its snapshots alone. */
static bool is_container(const struct eviction_owned *layer)
{
	return layer->kind != SNAPSHOT_COMMITTED || snapshot_names_init_length(layer->key) > 0;
}

static void count_children(struct image_space *s, const bool *in_image)
{
	for (size_t i = 0; i < s->layer_count; i++) {
		const struct eviction_owned *layer = layer_at(s, i);

		s->needed[i] += layer->kept_here;
		if (layer->below == PRUNE_NO_PARENT)
			continue;
		s->needed[layer->below]++;
		s->others[layer->below] += !in_image[i] && is_container(layer);
	}
}

static int count_needs(struct image_space *s, const struct owner_answer *a,
		       const struct snapshot_names *names)
{
	cleanup(free_ptr) bool *in_image = calloc(s->layer_count + 1, sizeof(*in_image));

	if (!in_image)
		return -ENOMEM;
	count_images(s, in_image);
	count_leases(s, a, names);
	count_children(s, in_image);
	return 0;
}

int image_space_new(const struct image_space_options *o, struct image_space **ret_space)
{
	cleanup(image_space_free) struct image_space *s = calloc(1, sizeof(*s));
	size_t room = o->layers->count + 1;

	if (!s)
		return -ENOMEM;
	s->layers = o->layers->items;
	s->layer_count = o->layers->count;
	s->images = o->images;
	s->records = o->answer->records;
	s->record_count = o->answer->count;
	s->record_of = o->record_of;
	s->needed = calloc(room, sizeof(*s->needed));
	s->others = calloc(room, sizeof(*s->others));
	s->group = calloc(room, sizeof(*s->group));
	s->sharers = calloc(room, sizeof(*s->sharers));
	s->counted = calloc(room, sizeof(*s->counted));
	if (!s->needed || !s->others || !s->group || !s->sharers || !s->counted ||
	    group_layers(s) < 0 || count_needs(s, o->answer, o->names) < 0)
		return -ENOMEM;
	s->record_of = NULL;
	*ret_space = take_ptr(s);
	return 0;
}

bool image_space_is_below(const struct image_space *s, size_t layer)
{
	return s->others[layer] > 0;
}

/* ---- an image goes, and comes back ---- */

/* What a walk from an image's tops has freed. */
struct freed {
	int64_t bytes, inodes;
	void (*each)(size_t layer, int64_t bytes, void *user);
	void *user;
};

static void let_go(struct image_space *s, size_t at, struct freed *f)
{
	for (; at != PRUNE_NO_PARENT && --s->needed[at] == 0; at = layer_at(s, at)->below) {
		const struct prune_record *p = &layer_at(s, at)->record;
		bool last = --s->sharers[s->group[at]] == 0;
		int64_t bytes = last && !p->shared ? p->size_bytes : 0;

		f->bytes += bytes;
		f->inodes += last && !p->shared ? p->inodes : 0;
		if (f->each)
			f->each(at, bytes, f->user);
	}
}

static void take_back(struct image_space *s, size_t at)
{
	for (; at != PRUNE_NO_PARENT && s->needed[at]++ == 0; at = layer_at(s, at)->below)
		s->sharers[s->group[at]]++;
}

void image_space_remove(struct image_space *s, size_t image, int64_t *ret_bytes,
			int64_t *ret_inodes, void (*each)(size_t layer, int64_t bytes, void *user),
			void *user)
{
	const struct image_tops_found *i = &s->images[image];
	struct freed f = { .each = each, .user = user };

	for (size_t k = 0; k < i->count; k++)
		let_go(s, i->tops[k], &f);
	*ret_bytes = f.bytes;
	*ret_inodes = f.inodes;
}

struct measuring {
	const struct image_space *s;
	struct prune_record *record;
};

static void add_uses(struct prune_record *to, const struct prune_record *from)
{
	if (from->last_used_ns > to->last_used_ns)
		to->last_used_ns = from->last_used_ns;
	if (from->usage_count > to->usage_count)
		to->usage_count = from->usage_count;
	if (from->need_rate > to->need_rate)
		to->need_rate = from->need_rate;
	to->kept_longer |= from->kept_longer;
}

static void add_layer(size_t layer, int64_t bytes, void *user)
{
	const struct measuring *m = user;
	const struct prune_record *from = &layer_at(m->s, layer)->record;

	(void)bytes;
	add_uses(m->record, from);
	m->record->seconds += from->seconds;
}

/* An image that frees nothing by itself was used when its layers were. */
static void add_all_uses(const struct image_space *s, const struct image_tops_found *image,
			 struct prune_record *record)
{
	for (size_t k = 0; k < image->count; k++)
		for (size_t at = image->tops[k]; at != PRUNE_NO_PARENT; at = layer_at(s, at)->below)
			add_uses(record, &layer_at(s, at)->record);
}

void image_space_measure(struct image_space *s, size_t image, struct prune_record *record)
{
	struct measuring m = { s, record };
	const struct image_tops_found *i = &s->images[image];

	image_space_remove(s, image, &record->size_bytes, &record->inodes, add_layer, &m);
	for (size_t k = i->count; k-- > 0;)
		take_back(s, i->tops[k]);
	if (record->size_bytes == 0)
		add_all_uses(s, i, record);
	record->created_ns = s->records[image].image->pulled_ns;
}

void image_space_add_total(const struct image_space *s, int64_t *bytes, int64_t *inodes)
{
	*bytes += s->total_bytes;
	*inodes += s->total_inodes;
}
