/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What images are made of: copies of the chains of all snapshots and of Varve's own images, with
 * what was read in each layer. Without the lock.
 */
#pragma once

#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record.h"

struct manager;

struct image_top_layer {
	char name[LAYER_NAME_LENGTH + 1];
	int64_t bytes; /* on disk; of a lazy one 0 */
	int64_t file_bytes; /* the sizes of its files */
	int64_t read_bytes; /* of these, of the files that were ever read; -1: not asked for */
	int64_t last_read_ns; /* 0: never */
	int64_t last_container_ns; /* when a container was made of it last, or removed; 0: never */
};

/* The record at which a chain ends. */
struct image_top {
	char id[RECORD_ID_LENGTH + 1];
	char *key; /* of the snapshot; NULL: it is an image of Varve's own */
	char **refs; /* image references */
	size_t ref_count;
	bool held, pinned; /* by leases of Varve */
	int64_t created_ns;
	struct digest config; /* "": not known */
	size_t *layers; /* indexes of its layers, without that of an active snapshot or a view */
	size_t layer_count;
};

struct image_tops {
	struct image_top_layer *layers;
	size_t layer_count;
	struct image_top *items;
	size_t count;
};

/* `with_files` looks at every file of every layer. `cancelled` may be NULL. */
int image_tops_gather(struct manager *m, bool with_files, const atomic_bool *cancelled,
		      struct image_tops *ret_tops, struct error *e);
void image_tops_free(struct image_tops *tops); /* what it points to */
DEFINE_CLEANUP_VALUE(struct image_tops, image_tops_free)
