/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/watch_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_watch(struct layer_watch *watch)
{
	struct watch_folds *folds = watch->folds;

	for (size_t i = 0; folds && i < ARRAY_SIZE(folds->counted); i++) {
		free(folds->counted[i]);
		free(folds->upkeep[i]);
	}
	free(folds);
	free(watch);
}

struct usage_fold_state **watch_table_fold(struct layer_watch *watch, bool upkeep, size_t layer)
{
	if (!watch->folds)
		watch->folds = calloc(1, sizeof(*watch->folds));
	if (!watch->folds)
		return NULL;
	return upkeep ? &watch->folds->upkeep[layer] : &watch->folds->counted[layer];
}

int watch_table_new(struct manager *m)
{
	m->watches.by_layer = hashmap_new_of(offsetof(struct layer_watch, layer));
	m->watches.by_owner = hashmap_new_of(offsetof(struct layer_watch, owner_text));
	return m->watches.by_layer && m->watches.by_owner ? 0 : -ENOMEM;
}

static void write_owner(uint64_t owner, char text[WATCH_OWNER_SIZE])
{
	(void)snprintf(text, WATCH_OWNER_SIZE, "%" PRIx64, owner);
}

struct layer_watch *watch_table_find(const struct manager *m, uint64_t owner)
{
	char text[WATCH_OWNER_SIZE];

	write_owner(owner, text);
	return hashmap_find(m->watches.by_owner, text);
}

int watch_table_insert(struct manager *m, struct layer_watch *watch)
{
	struct layer_watches *all = &m->watches;
	int code = hashmap_insert(all->by_layer, watch->layer, watch);

	write_owner(watch->owner, watch->owner_text);
	if (code == 0 && (code = hashmap_insert(all->by_owner, watch->owner_text, watch)) < 0)
		(void)hashmap_remove(all->by_layer, watch->layer);
	if (code == 0)
		return 0;
	free_watch(watch);
	return -ENOMEM;
}

void watch_table_remove(struct manager *m, struct layer_watch *watch)
{
	(void)hashmap_remove(m->watches.by_layer, watch->layer);
	(void)hashmap_remove(m->watches.by_owner, watch->owner_text);
	usage_layers_unwatch(m->usage, &watch->root, watch->owner);
	free_watch(watch);
}

struct layer_watch *watch_table_next(const struct manager *m, size_t *position)
{
	return hashmap_next(m->watches.by_layer, position);
}

void watch_table_free(struct manager *m)
{
	struct layer_watch *watch;
	size_t at = 0;

	hashmap_free(m->watches.by_owner);
	while (m->watches.by_layer && (watch = watch_table_next(m, &at)))
		free_watch(watch);
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
