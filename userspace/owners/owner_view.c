/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "graph/record_facts.h"
#include "owners/clients/buildkit_client.h"

/* What is needed while a view is made. */
struct making {
	struct owner_view *v;
	const struct owner_settings *settings;
	struct hashmap *by_key; /* struct eviction_owned of the namespace, by the owner's key */
	struct hashmap *by_id; /* struct owner_record */
	size_t *record_of; /* by layer: the index of its record, or PRUNE_NO_PARENT */
};

static void making_free(struct making *g)
{
	hashmap_free(g->by_key);
	hashmap_free(g->by_id);
	free(g->record_of);
}
DEFINE_CLEANUP_VALUE(struct making, making_free)

/* ---- from containerd's keys to layers ---- */

/* The owner's key in NAMESPACE/NUMBER/KEY, and the number; NULL: another namespace, or a key that
 * containerd did not make. */
static const char *owners_key(const char *key, const char *namespace,
			      unsigned long long *ret_number)
{
	size_t length = strlen(namespace);
	char *end;

	if (strncmp(key, namespace, length) != 0 || key[length] != '/')
		return NULL;
	key += length + 1;
	if (*key < '0' || *key > '9')
		return NULL;
	*ret_number = strtoull(key, &end, 10);
	return *end == '/' ? end + 1 : NULL;
}

/* A key that was removed and used again is there twice until containerd has collected the old one,
 * whose number is lower. */
static int add_key(struct making *g, struct eviction_owned *layer)
{
	unsigned long long number = 0, other = 0;
	const char *key = owners_key(layer->key, g->settings->namespace, &number);
	const struct eviction_owned *found = key ? hashmap_find(g->by_key, key) : NULL;

	if (!key)
		return 0;
	if (found && owners_key(found->key, g->settings->namespace, &other) && other > number)
		return 0;
	if (found)
		(void)hashmap_remove(g->by_key, key); /* it is there */
	return hashmap_insert(g->by_key, key, layer);
}

static int index_layers(struct making *g)
{
	struct owner_view *v = g->v;

	g->by_key = hashmap_new();
	g->record_of = calloc(v->layers.count + 1, sizeof(*g->record_of));
	if (!g->by_key || !g->record_of)
		return -ENOMEM;
	for (size_t i = 0; i < v->layers.count; i++) {
		g->record_of[i] = PRUNE_NO_PARENT;
		if (add_key(g, &v->layers.items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The layers of containers' own snapshots. */
static int find_container_layers(struct making *g)
{
	struct owner_view *v = g->v;
	const Varve__Containerd__ListContainersReply *reply = v->answer.containers;

	v->container_layer = calloc(reply->n_containers + 1, sizeof(*v->container_layer));
	for (size_t i = 0; v->container_layer && i < reply->n_containers; i++)
		if (v->answer.container_snapshots[i])
			v->container_layer[i] =
				hashmap_find(g->by_key, v->answer.container_snapshots[i]);
	return v->container_layer ? 0 : -ENOMEM;
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
	const struct eviction_owned *layer = r->snapshot ? hashmap_find(g->by_key, r->snapshot)
							 : NULL;
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
		if (code < 0 || !buildkit_client_can_name(r->said->id))
			v->kept[i] = OWNER_KEEP_ODD;
		find_layer(g, i);
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
		.size_bytes = layer ? v->records[i].size_bytes : -1,
		.created_ns = layer ? layer->record.created_ns : 0,
		.last_used_ns = v->records[i].last_used_ns,
		.last_read_ns = layer ? layer->last_read_ns : 0,
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

/* A record that was never read is as young as it is. */
static enum owner_keep why_kept(const struct owner_view *v, size_t i, const struct prune_rule *rule,
				int64_t now_ns)
{
	const struct owner_record *r = &v->answer.records[i];
	const struct eviction_owned *layer = v->layer_of[i];
	const struct prune_record *p = &v->records[i];
	struct record_facts facts = facts_of(v, i);

	if (r->said->in_use)
		return OWNER_KEEP_IN_USE;
	if (!r->leased)
		return OWNER_KEEP_UNLEASED;
	if (!layer)
		return OWNER_KEEP_ELSEWHERE;
	if (layer->mounted)
		return OWNER_KEEP_MOUNTED;
	if (layer->kept_here)
		return OWNER_KEEP_HERE;
	if (v->kept[i] != OWNER_KEEP_NOT)
		return v->kept[i];
	return keep_of_rule(prune_rule_keep(
		rule, &facts, p->last_used_ns > p->created_ns ? p->last_used_ns : p->created_ns,
		now_ns));
}

static void judge(struct owner_view *v, const struct prune_rule *rule)
{
	int64_t now_ns = clock_wall_ns();

	for (size_t i = 0; i < v->count; i++) {
		struct prune_record *p = &v->records[i];

		v->kept[i] = why_kept(v, i, rule, now_ns);
		p->evictable = v->kept[i] == OWNER_KEEP_NOT;
		if (p->shared)
			continue;
		v->used_bytes += p->size_bytes;
		v->disk_inodes += p->inodes;
		v->kept_bytes[v->kept[i]] += p->size_bytes;
	}
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
	if (!v.layer_of || !v.records || !v.kept)
		return error_set(e, -ENOMEM, "out of memory for %zu records", v.count);
	code = eviction_owned_gather(m, rule->scorer, cancelled, &v.layers, e);
	if (code < 0)
		return code;
	if (index_layers(&g) < 0 || find_container_layers(&g) < 0 || index_records(&g) < 0)
		return error_set(e, -ENOMEM, "out of memory for %zu records", v.count);
	link_parents(&g);
	keep_needed(&g);
	if (cut_circles(&v) < 0)
		return error_set(e, -ENOMEM, "out of memory for %zu records", v.count);
	judge(&v, rule);
	*ret_view = v;
	v = (struct owner_view){ 0 };
	return 0;
}

void owner_view_free(struct owner_view *v)
{
	owner_answer_free(&v->answer);
	eviction_owned_free(&v->layers);
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
	};

	return reasons[keep];
}
