/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lays out layers as an icicle, from base to leaf, and the folders of each as a treemap: the width
 * of a layer is its bytes, and so is the area of a folder. What would be too small to see is
 * merged. The same layers give the same picture, in whatever order they are added.
 */
#pragma once

#include "heat/heat_layer.h"
#include "heat/heat_squares.h"

enum heat_kind { HEAT_LAYER, HEAT_FOLDER, HEAT_OTHER_LAYERS, HEAT_OTHER_FOLDERS };

struct heat_tile {
	enum heat_kind kind;
	struct heat_box box; /* a border */
	struct heat_box label; /* where text may be; no width: nowhere */
	struct heat_box body; /* filled by age; no width: smaller tiles fill it */
	const struct heat_layer *layer; /* of others: the first one */
	const struct heat_folder *folder; /* NULL: not one folder */
	size_t others; /* how many are merged */
	int64_t bytes[HEAT_AGES], size_bytes, last_read_ns;
};

/* The layers, with their trees, must outlive it. */
struct heat_picture {
	struct heat_tile *tiles; /* in the order in which they are drawn */
	size_t count, capacity;
	double width, height; /* that they take */
	int64_t size_bytes; /* of all layers */
	size_t layers;
};

/* -ENOMEM; -EINVAL: a parent is not a layer, or its own descendant. */
int heat_picture_make(const struct heat_layer *layers, size_t count,
		      const struct heat_measures *measures, int64_t now_ns,
		      struct heat_picture *ret_picture);
void heat_picture_free(struct heat_picture *p); /* what it points to */
DEFINE_CLEANUP_VALUE(struct heat_picture, heat_picture_free)

/* Visits the strips that fill a tile's body, the most recently read bytes first. */
void heat_picture_strips(const struct heat_tile *tile,
			 void (*visit)(enum heat_age age, const struct heat_box *strip, void *user),
			 void *user);
