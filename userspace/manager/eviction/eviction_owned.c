/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_owned.h"

#include <errno.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/history/history.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/mount_elsewhere.h"
#include "manager/records/layer_sizes.h"
#include "manager/state/manager_state.h"
#include "manager/state/snapshot_lease.h"
#include "manager/state/store_disk.h"
#include "manager/state/trash.h"

/* With the lock: whether Varve itself has a use for the record, which no owner knows of. */
static bool is_kept_here(const struct record *r)
{
	manager_assert_some_locked();
	if (record_is_pinned(r) || r->busy || r->extractions > 0 || r->state != RECORD_LIVE)
		return true;
	for (const struct hold *h = r->holds; h; h = h->next_of_record)
		if (!snapshot_lease_is_one(h->lease->name))
			return true;
	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		if (!c->snapshot)
			return true;
	return false;
}

static bool is_mounted(const struct record *r)
{
	return r->mount || r->layer->lingering || r->layer->elsewhere;
}

/* With the lock. */
static int add(struct manager *m, const struct snapshot *s, const struct prune_scorer *scorer,
	       int64_t now_ns, struct eviction_owned *o)
{
	const struct record *r = s->record;

	manager_assert_locked(m);
	*o = (struct eviction_owned){
		.key = strdup(s->key),
		.kind = s->kind,
		.below = PRUNE_NO_PARENT,
		.mounted = is_mounted(r),
		.kept_here = is_kept_here(r),
		.last_read_ns = r->layer->access.last_ns,
		.opens = layer_counter(r->layer, USAGE_OPENS),
		.fingerprint = eviction_candidates_fingerprint(r),
	};
	memcpy(o->id, r->id, sizeof(o->id));
	memcpy(o->layer, r->layer->name, sizeof(o->layer));
	eviction_candidates_measure(m, r, scorer, false, now_ns, &o->expected, &o->record);
	return o->key ? 0 : -ENOMEM;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct eviction_owned *)a)->key,
		      ((const struct eviction_owned *)b)->key);
}

/* With the lock. */
static void link_below(struct manager *m, struct eviction_owned_list *list)
{
	manager_assert_locked(m);
	for (size_t i = 0; i < list->count; i++) {
		const struct record *r = record_graph_find(m->graph, list->items[i].id);
		const struct snapshot *below = r && r->parent ? r->parent->snapshot : NULL;
		struct eviction_owned wanted = { .key = below ? below->key : NULL }, *found;

		found = below ? bsearch(&wanted, list->items, list->count, sizeof(wanted), by_key)
			      : NULL;
		if (found)
			list->items[i].below = (size_t)(found - list->items);
	}
}

static int gather(struct manager *m, const struct prune_scorer *scorer,
		  struct eviction_owned_list *list)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	int64_t now_ns = clock_wall_ns();
	struct snapshot *s;
	size_t at = 0;

	list->items = calloc(hashmap_count(locked->snapshots) + 1, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	if (scorer->by_blocks)
		history_forecast_count_idle(m, now_ns);
	while ((s = hashmap_next(m->snapshots, &at))) {
		/* Those of a commit under way are there twice, and have no record yet. */
		if (!s->record || s->record->snapshot != s)
			continue;
		if (add(m, s, scorer, now_ns, &list->items[list->count++]) < 0)
			return -ENOMEM;
	}
	qsort(list->items, list->count, sizeof(*list->items), by_key);
	link_below(m, list);
	return 0;
}

int eviction_owned_gather(struct manager *m, const struct prune_scorer *scorer,
			  const atomic_bool *cancelled, struct eviction_owned_list *ret_list,
			  struct error *e)
{
	cleanup(eviction_owned_free) struct eviction_owned_list list = { .disk = store_disk_read(
										 m) };
	int code = layer_sizes_measure(m, cancelled, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	counter_fold_for_call(m, cancelled);
	mount_elsewhere_find_snapshots(m);
	if (gather(m, scorer, &list) < 0)
		return error_set(e, -ENOMEM, "out of memory to list the snapshots");
	*ret_list = list;
	list = (struct eviction_owned_list){ 0 };
	return cancellation_check(cancelled, e);
}

void eviction_owned_free(struct eviction_owned_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].key);
	free(list->items);
	*list = (struct eviction_owned_list){ 0 };
}

bool eviction_owned_has_snapshot(struct manager *m, const char *id)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct record *r = record_graph_find(locked->graph, id);

	return r && r->snapshot;
}

bool eviction_owned_has_layer(struct manager *m, const char *layer)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return record_graph_find_layer(locked->graph, layer) != NULL;
}

uint64_t eviction_owned_fingerprint(struct manager *m, const char *id)
{
	const struct record *r;

	counter_fold_for_call(m, NULL);
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	r = record_graph_find(locked->graph, id);
	return r ? eviction_candidates_fingerprint(r) : 0;
}

void eviction_owned_settle(struct manager *m)
{
	trash_drain(m);
}
