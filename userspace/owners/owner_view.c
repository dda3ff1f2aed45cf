/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "graph/record_facts.h"
#include "owners/clients/buildkit_client.h"
#include "owners/snapshot_names.h"

/* What is needed while a view is made. */
struct making {
	struct owner_view *v;
	const struct owner_settings *settings;
	struct snapshot_names names; /* struct eviction_owned */
	struct hashmap *by_id; /* struct owner_record */
	size_t *record_of; /* by layer: the index of its record, or PRUNE_NO_PARENT */
	bool *below_container; /* by layer */
};

static void making_free(struct making *g)
{
	snapshot_names_free(&g->names);
	hashmap_free(g->by_id);
	free(g->record_of);
	free(g->below_container);
}
DEFINE_CLEANUP_VALUE(struct making, making_free)

/* ---- from containerd's keys to layers ---- */

static int index_layers(struct making *g)
{
	struct owner_view *v = g->v;

	g->record_of = calloc(v->layers.count + 1, sizeof(*g->record_of));
	if (!g->record_of || snapshot_names_init(&g->names, v->layers.count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < v->layers.count; i++) {
		g->record_of[i] = PRUNE_NO_PARENT;
		if (snapshot_names_add(&g->names, v->layers.items[i].key, &v->layers.items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const struct eviction_owned *find_snapshot(const struct making *g, const char *namespace,
						  const char *name)
{
	return name ? snapshot_names_find(&g->names, namespace, name) : NULL;
}

/* The layers of containers' own snapshots, and what they need. */
static int find_container_layers(struct making *g)
{
	struct owner_view *v = g->v;

	v->container_layer = calloc(v->answer.container_count + 1, sizeof(*v->container_layer));
	g->below_container = calloc(v->layers.count + 1, sizeof(*g->below_container));
	if (!v->container_layer || !g->below_container)
		return -ENOMEM;
	for (size_t i = 0; i < v->answer.container_count; i++) {
		const struct eviction_owned *layer = find_snapshot(
			g, v->answer.containers[i].namespace, v->answer.containers[i].snapshot);
		size_t at = layer ? (size_t)(layer - v->layers.items) : PRUNE_NO_PARENT;

		v->container_layer[i] = layer;
		for (; at != PRUNE_NO_PARENT; at = v->layers.items[at].below)
			g->below_container[at] = true;
	}
	return 0;
}

/* An image for several platforms has several tops. */
static int find_tops(struct making *g, size_t i)
{
	struct owner_view *v = g->v;
	const struct owner_record *r = &v->answer.records[i];
	struct image_tops_found *image = &v->images[i];

	image->tops = calloc(r->image->top_count + 1, sizeof(*image->tops));
	for (size_t k = 0; image->tops && k < r->image->top_count; k++) {
		const struct eviction_owned *top =
			find_snapshot(g, r->namespace, r->image->tops[k]);

		if (top)
			image->tops[image->count++] = (size_t)(top - v->layers.items);
	}
	return image->tops ? 0 : -ENOMEM;
}

/* ---- records ---- */

static size_t layer_index(const struct owner_view *v, size_t record)
{
	return (size_t)(v->layer_of[record] - v->layers.items);
}

/* Gives the record its layer. Of several records with one layer the first has its size. */
static void find_layer(struct making *g, size_t i)
{
	struct owner_view *v = g->v;
	const struct owner_record *r = &v->answer.records[i];
	const struct eviction_owned *layer = find_snapshot(g, r->namespace, r->snapshot);
	struct prune_record *p = &v->records[i];

	*p = (struct prune_record){ .parent = PRUNE_NO_PARENT };
	v->layer_of[i] = layer;
	if (layer)
		*p = layer->record;
	p->id = r->said->id;
	p->parent = PRUNE_NO_PARENT;
	if (layer && g->record_of[layer_index(v, i)] != PRUNE_NO_PARENT)
		p->size_bytes = p->inodes = 0;
	else if (layer)
		g->record_of[layer_index(v, i)] = i;
}

static int index_records(struct making *g)
{
	struct owner_view *v = g->v;

	g->by_id = hashmap_new();
	if (!g->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < v->count; i++) {
		struct owner_record *r = &v->answer.records[i];
		int code = hashmap_insert(g->by_id, r->said->id, r);

		if (code == -ENOMEM)
			return code;
		if (code < 0 || (!r->image && !buildkit_client_can_name(r->said->id)))
			v->kept[i] = OWNER_KEEP_ODD;
		find_layer(g, i);
		if (r->image && find_tops(g, i) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- which lies on which ---- */

static size_t record_below(const struct making *g, size_t i)
{
	const struct owner_view *v = g->v;
	size_t below = v->layer_of[i] ? v->layer_of[i]->below : PRUNE_NO_PARENT;

	return below == PRUNE_NO_PARENT ? below : g->record_of[below];
}

/* The planner knows one parent of each record. What lies below a record in another way stays. */
static void add_parent(struct making *g, size_t i, size_t parent)
{
	struct owner_view *v = g->v;

	if (parent == PRUNE_NO_PARENT || parent == i || parent == v->records[i].parent)
		return;
	if (v->records[i].parent == PRUNE_NO_PARENT)
		v->records[i].parent = parent;
	else if (v->kept[parent] == OWNER_KEEP_NOT)
		v->kept[parent] = OWNER_KEEP_BELOW;
}

static size_t find_record(const struct making *g, const char *id)
{
	const struct owner_record *r = hashmap_find(g->by_id, id);

	return r ? (size_t)(r - g->v->answer.records) : PRUNE_NO_PARENT;
}

static void link_parents(struct making *g)
{
	struct owner_view *v = g->v;

	for (size_t i = 0; i < v->count; i++) {
		const Moby__Buildkit__V1__UsageRecord *said = v->answer.records[i].said;

		add_parent(g, i, record_below(g, i));
		for (size_t k = 0; k < said->n_parents; k++)
			add_parent(g, i, find_record(g, said->parents[k]));
		if (said->n_parents == 0 && said->parent[0]) /* as older owners say it */
			add_parent(g, i, find_record(g, said->parent));
	}
}

/* Cuts circles of parents, and keeps what is in one. */
static int cut_circles(struct owner_view *v)
{
	cleanup(free_ptr) size_t *seen = calloc(v->count + 1, sizeof(*seen)); /* in which walk */

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < v->count; i++) {
		size_t at = i;

		while (at != PRUNE_NO_PARENT && seen[at] == 0) {
			seen[at] = i + 1;
			at = v->records[at].parent;
		}
		if (at == PRUNE_NO_PARENT || seen[at] != i + 1)
			continue;
		for (size_t next; at != PRUNE_NO_PARENT; at = next) {
			next = v->records[at].parent;
			v->records[at].parent = PRUNE_NO_PARENT;
			v->kept[at] = OWNER_KEEP_ODD;
		}
	}
	return 0;
}

/* A layer below a snapshot that is none of the owner's records, and no view, stays when the record
 * is removed: containerd needs it. */
static void keep_needed(struct making *g)
{
	struct owner_view *v = g->v;

	for (size_t i = 0; i < v->layers.count; i++) {
		const struct eviction_owned *layer = &v->layers.items[i];
		size_t below = layer->below == PRUNE_NO_PARENT ? PRUNE_NO_PARENT
							       : g->record_of[layer->below];

		if (below != PRUNE_NO_PARENT && layer->kind != SNAPSHOT_VIEW &&
		    g->record_of[i] == PRUNE_NO_PARENT && v->kept[below] == OWNER_KEEP_NOT)
			v->kept[below] = OWNER_KEEP_BELOW;
	}
}

/* ---- why a record stays ---- */

static struct record_facts facts_of(const struct owner_view *v, size_t i)
{
	const Moby__Buildkit__V1__UsageRecord *said = v->answer.records[i].said;
	const struct eviction_owned *layer = v->layer_of[i];
	bool known = layer || owner_view_is_image(v, i);

	return (struct record_facts){
		.id = said->id,
		.parent = said->n_parents > 0 ? said->parents[0]
			  : said->parent[0]   ? said->parent
					      : NULL,
		.description = said->description,
		.type = said->record_type,
		.in_use = said->in_use,
		.is_mutable = said->mutable_,
		.shared = said->shared,
		.size_bytes = known ? v->records[i].size_bytes : -1,
		.created_ns = known ? v->records[i].created_ns : 0,
		.last_used_ns = v->records[i].last_used_ns,
		.last_read_ns = layer ? layer->last_read_ns : v->records[i].last_used_ns,
		.usage_count = v->records[i].usage_count,
		.opens = layer ? layer->opens : 0,
	};
}

static enum owner_keep keep_of_rule(enum prune_keep keep)
{
	switch (keep) {
	case PRUNE_KEEP_NOT:
		return OWNER_KEEP_NOT;
	case PRUNE_KEEP_SHARED:
		return OWNER_KEEP_SHARED;
	case PRUNE_KEEP_TYPE:
		return OWNER_KEEP_TYPE;
	case PRUNE_KEEP_YOUNG:
		return OWNER_KEEP_YOUNG;
	case PRUNE_KEEP_FILTERED:
		return OWNER_KEEP_FILTERED;
	default:
		return OWNER_KEEP_ODD;
	}
}

/* What lies on an image's top, and is not counted among its containers, may be one that is about to
 * be made. */
static enum owner_keep why_image_kept(const struct owner_view *v, size_t i)
{
	const struct image_tops_found *image = &v->images[i];

	if (v->answer.records[i].image->pinned)
		return OWNER_KEEP_PINNED;
	if (v->answer.records[i].unlisted)
		return OWNER_KEEP_UNLISTED;
	if (v->kept[i] != OWNER_KEEP_NOT)
		return v->kept[i];
	for (size_t k = 0; k < image->count; k++) {
		const struct eviction_owned *top = &v->layers.items[image->tops[k]];

		if (top->kept_here)
			return OWNER_KEEP_HERE;
		if (image_space_is_below(v->space, image->tops[k]))
			return OWNER_KEEP_BELOW;
	}
	return image->count > 0 ? OWNER_KEEP_NOT : OWNER_KEEP_ELSEWHERE;
}

static enum owner_keep why_record_kept(const struct owner_view *v, size_t i)
{
	const struct eviction_owned *layer = v->layer_of[i];

	if (!v->answer.records[i].leased)
		return OWNER_KEEP_UNLEASED;
	if (!layer)
		return OWNER_KEEP_ELSEWHERE;
	if (layer->mounted)
		return OWNER_KEEP_MOUNTED;
	return layer->kept_here ? OWNER_KEEP_HERE : v->kept[i];
}

/* A record that was never read is as young as it is. */
static enum owner_keep why_kept(const struct owner_view *v, size_t i, unsigned planned,
				const struct prune_rule *rule, int64_t now_ns)
{
	const struct owner_record *r = &v->answer.records[i];
	const struct prune_record *p = &v->records[i];
	struct record_facts facts = facts_of(v, i);
	enum owner_keep kept;

	if (!(planned & (r->image ? OWNER_EVICT_IMAGES : OWNER_EVICT_CACHE)))
		return OWNER_KEEP_SETTING;
	if (r->said->in_use)
		return OWNER_KEEP_IN_USE;
	kept = r->image ? why_image_kept(v, i) : why_record_kept(v, i);
	if (kept != OWNER_KEEP_NOT)
		return kept;
	return keep_of_rule(prune_rule_keep(
		rule, &facts, p->last_used_ns > p->created_ns ? p->last_used_ns : p->created_ns,
		now_ns));
}

/* What images share is in the total once, and in the size of none of them. */
static void judge(struct owner_view *v, unsigned planned, const struct prune_rule *rule)
{
	int64_t now_ns = clock_wall_ns();

	for (size_t i = 0; i < v->count; i++) {
		struct prune_record *p = &v->records[i];

		v->kept[i] = why_kept(v, i, planned, rule, now_ns);
		p->evictable = v->kept[i] == OWNER_KEEP_NOT;
		if (p->shared)
			continue;
		v->kept_bytes[v->kept[i]] += p->size_bytes;
		if (v->answer.records[i].image)
			continue;
		v->used_bytes += p->size_bytes;
		v->disk_inodes += p->inodes;
	}
	if (v->space)
		image_space_add_total(v->space, &v->used_bytes, &v->disk_inodes);
}

static int measure_images(struct making *g)
{
	struct owner_view *v = g->v;
	const struct image_space_options options = { .layers = &v->layers,
						     .images = v->images,
						     .answer = &v->answer,
						     .names = &g->names,
						     .record_of = g->record_of };
	int code = v->answer.image_count > 0 ? image_space_new(&options, &v->space) : 0;

	for (size_t i = 0; code == 0 && v->space && i < v->count; i++)
		if (owner_view_is_image(v, i))
			image_space_measure(v->space, i, &v->records[i]);
	return code;
}

/* A container may name another image than the one that it lies on, or none. */
static void keep_used_images(struct making *g)
{
	struct owner_view *v = g->v;

	for (size_t i = 0; i < v->count; i++)
		for (size_t k = 0; k < v->images[i].count; k++)
			if (g->below_container[v->images[i].tops[k]])
				v->kept[i] = OWNER_KEEP_IN_USE;
}

int owner_view_make(struct manager *m, const struct owner_settings *o, struct owner_answer *answer,
		    const struct prune_rule *rule, const atomic_bool *cancelled,
		    struct owner_view *ret_view, struct error *e)
{
	cleanup(owner_view_free) struct owner_view v = { .answer = *answer,
							 .count = answer->count };
	cleanup(making_free) struct making g = { .v = &v, .settings = o };
	int code;

	*answer = (struct owner_answer){ 0 };
	v.layer_of = calloc(v.count + 1, sizeof(*v.layer_of));
	v.records = calloc(v.count + 1, sizeof(*v.records));
	v.kept = calloc(v.count + 1, sizeof(*v.kept));
	v.images = calloc(v.count + 1, sizeof(*v.images));
	if (!v.layer_of || !v.records || !v.kept || !v.images)
		return error_set(e, -ENOMEM, "out of memory for %zu records", v.count);
	code = eviction_owned_gather(m, rule->scorer, cancelled, &v.layers, e);
	if (code < 0)
		return code;
	if (index_layers(&g) < 0 || find_container_layers(&g) < 0 || index_records(&g) < 0)
		return error_set(e, -ENOMEM, "out of memory for %zu records", v.count);
	link_parents(&g);
	keep_needed(&g);
	keep_used_images(&g);
	if (cut_circles(&v) < 0 || measure_images(&g) < 0)
		return error_set(e, -ENOMEM, "out of memory for %zu records", v.count);
	judge(&v, owner_settings_planned(o), rule);
	*ret_view = v;
	v = (struct owner_view){ 0 };
	return 0;
}

void owner_view_free(struct owner_view *v)
{
	owner_answer_free(&v->answer);
	eviction_owned_free(&v->layers);
	for (size_t i = 0; v->images && i < v->count; i++)
		free(v->images[i].tops);
	free(v->images);
	image_space_free(v->space);
	free(v->layer_of);
	free(v->container_layer);
	free(v->records);
	free(v->kept);
	*v = (struct owner_view){ 0 };
}

const char *owner_view_reason(enum owner_keep keep)
{
	static const char *const reasons[OWNER_KEEP_COUNT] = {
		[OWNER_KEEP_NOT] = "free",
		[OWNER_KEEP_IN_USE] = "in use",
		[OWNER_KEEP_UNLEASED] = "without a lease, so in use",
		[OWNER_KEEP_ELSEWHERE] = "not in this store",
		[OWNER_KEEP_MOUNTED] = "mounted",
		[OWNER_KEEP_HERE] = "kept by Varve",
		[OWNER_KEEP_BELOW] = "below other snapshots",
		[OWNER_KEEP_SHARED] = "shared with images",
		[OWNER_KEEP_TYPE] = "internal or frontend",
		[OWNER_KEEP_YOUNG] = "used too recently",
		[OWNER_KEEP_FILTERED] = "not matched by the filters",
		[OWNER_KEEP_ODD] = "described in a way that makes no sense",
		[OWNER_KEEP_PINNED] = "pinned by Kubernetes",
		[OWNER_KEEP_SETTING] = "left out by the setting evict",
		[OWNER_KEEP_UNLISTED] = "not listed by the owner",
	};

	return reasons[keep];
}
