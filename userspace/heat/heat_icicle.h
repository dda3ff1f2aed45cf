/* SPDX-License-Identifier: Apache-2.0 */
/* Where the layers of a picture are: which are merged, in which row and how wide. */
#pragma once

#include "heat/heat_layer.h"

/* A layer's place, or that of several that are merged. */
struct heat_place {
	size_t layer; /* of merged ones the first */
	size_t merged; /* how many layers; 1: one */
	int64_t bytes[HEAT_AGES]; /* of all of them, by the layers' last reads */
	double x, width; /* from its bytes */
	double space; /* from x, without coming into the place of another layer */
	unsigned row;
};

struct heat_places {
	struct heat_place *items;
	size_t count, capacity;
	unsigned rows;
	int64_t size_bytes;
};

/* As heat_picture_make(). */
int heat_icicle_make(const struct heat_layer *layers, size_t count, const struct heat_measures *m,
		     int64_t now_ns, struct heat_places *ret_places);
void heat_places_free(struct heat_places *p); /* what it points to */
DEFINE_CLEANUP_VALUE(struct heat_places, heat_places_free)
