/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/watch_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

static void free_watch(struct layer_watch *watch)
{
	for (size_t i = 0; i < ARRAY_SIZE(watch->upkeep); i++)
		free(watch->upkeep[i]);
	free(watch);
}

int watch_table_new(struct manager *m)
{
	m->watches.by_layer = hashmap_new();
	return m->watches.by_layer ? 0 : -ENOMEM;
}

/* The place of the first watch whose owner is not less. */
static size_t find_place(const struct layer_watches *all, uint64_t owner)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (all->by_owner[middle]->owner < owner)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct layer_watch *watch_table_find(const struct manager *m, uint64_t owner)
{
	const struct layer_watches *all = &m->watches;
	size_t place = find_place(all, owner);

	return place < all->count && all->by_owner[place]->owner == owner ? all->by_owner[place]
									  : NULL;
}

int watch_table_insert(struct manager *m, struct layer_watch *watch)
{
	struct layer_watches *all = &m->watches;
	struct layer_watch **grown =
		vec_reserve(all->by_owner, &all->capacity, all->count + 1, sizeof(*grown));
	size_t place;

	if (grown)
		all->by_owner = grown;
	if (!grown || hashmap_insert(all->by_layer, watch->layer, watch) < 0) {
		free_watch(watch);
		return -ENOMEM;
	}
	/* Owners grow, so that this is the end nearly always. */
	place = find_place(all, watch->owner);
	memmove(&grown[place + 1], &grown[place], (all->count - place) * sizeof(*grown));
	grown[place] = watch;
	all->count++;
	return 0;
}

void watch_table_remove(struct manager *m, struct layer_watch *watch)
{
	struct layer_watches *all = &m->watches;
	size_t place = find_place(all, watch->owner);

	(void)hashmap_remove(all->by_layer, watch->layer);
	memmove(&all->by_owner[place], &all->by_owner[place + 1],
		(all->count - place - 1) * sizeof(*all->by_owner));
	all->count--;
	usage_layers_unwatch(m->usage, &watch->root, watch->owner);
	free_watch(watch);
}

void watch_table_free(struct manager *m)
{
	for (size_t i = 0; i < m->watches.count; i++)
		free_watch(m->watches.by_owner[i]);
	free(m->watches.by_owner);
	hashmap_free(m->watches.by_layer);
	m->watches = (struct layer_watches){ 0 };
}

struct layer_watch *watch_table_find_layer(const struct manager *m, const char *layer)
{
	return hashmap_find(m->watches.by_layer, layer);
}

void watch_table_end(struct manager *m, const char *layer)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct layer_watch *watch = watch_table_find_layer(locked, layer);

	if (watch)
		watch_table_remove(locked, watch);
}
