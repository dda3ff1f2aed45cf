/* SPDX-License-Identifier: Apache-2.0 */
/* m->watches: the layers that are watched (layer_watch.h), by name and by owner. With the lock. */
#pragma once

#include "manager/state/manager_state.h"
#include "usage/usage_layers.h"

#define WATCH_OWNER_SIZE 17

/* What was folded of a layer's cells, by USAGE_AS_UPPER and USAGE_AS_LOWER; NULL: nothing. */
struct watch_folds {
	struct usage_fold_state *counted[2];
	struct usage_fold_state *upkeep[2]; /* of what upkeep read */
};

struct layer_watch {
	char layer[LAYER_NAME_LENGTH + 1];
	char owner_text[WATCH_OWNER_SIZE]; /* the table's */
	uint64_t owner; /* of the kernel's cells; never used twice */
	struct usage_root root;
	int64_t born_ns; /* when the root was made; 0: the file system does not tell */
	struct watch_folds *folds; /* NULL: nothing, as of most layers */
	bool dirty; /* not in the database as it is here */
};

int watch_table_new(struct manager *m); /* -ENOMEM */
void watch_table_free(struct manager *m);

/* Takes the watch; -ENOMEM: it has been freed. */
int watch_table_insert(struct manager *m, struct layer_watch *watch);
/* Like hashmap_next(). */
struct layer_watch *watch_table_next(const struct manager *m, size_t *position);
/* Ends and frees it. */
void watch_table_remove(struct manager *m, struct layer_watch *watch);

/* By the owner of the kernel's cells; NULL: it has ended. */
struct layer_watch *watch_table_find(const struct manager *m, uint64_t owner);
/* Where the state of one of its cells is; NULL: no memory. */
struct usage_fold_state **watch_table_fold(struct layer_watch *watch, bool upkeep, size_t layer);
struct layer_watch *watch_table_find_layer(const struct manager *m, const char *layer);

/* Before a layer's directory goes to the trash: nothing is credited to the layer any more. Without
 * the lock; store_files_discard() calls it. */
void watch_table_end(struct manager *m, const char *layer);
