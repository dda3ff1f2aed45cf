/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes free with an image: snapshots that neither another image, another snapshot nor a
 * lease needs, down to the first one that something else lies on; and of these, layers that no
 * other snapshot shares. Pure: it counts in a view of one moment.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "manager/eviction/eviction_owned.h"
#include "owners/owner_answer.h"
#include "owners/snapshot_names.h"

struct image_space;

/* The snapshots at the tops of an image, as indexes of layers. */
struct image_tops_found {
	size_t *tops;
	size_t count;
};

/* Everything is borrowed, except for the two last only while the space is made. */
struct image_space_options {
	const struct eviction_owned_list *layers;
	const struct image_tops_found *images; /* by the answer's records */
	const struct owner_answer *answer;
	const struct snapshot_names *names; /* of the layers */
	const size_t *record_of; /* by layer: the record of the cache, or PRUNE_NO_PARENT */
};

int image_space_new(const struct image_space_options *o,
		    struct image_space **ret_space); /* -ENOMEM */
void image_space_free(struct image_space *s);
DEFINE_CLEANUP(struct image_space *, image_space_free)

/* Whether something other than an image lies on this layer. */
bool image_space_is_below(const struct image_space *s, size_t layer);

/* Fills in size, cost and uses: those of the layers that removing this image alone frees. */
void image_space_measure(struct image_space *s, size_t image, struct prune_record *record);

/* From now on the image is gone: what that has freed. each() may be NULL, and is called for each
 * snapshot that goes. */
void image_space_remove(struct image_space *s, size_t image, int64_t *ret_bytes,
			int64_t *ret_inodes, void (*each)(size_t layer, int64_t bytes, void *user),
			void *user);

/* Adds what all images together need, without layers of the cache. */
void image_space_add_total(const struct image_space *s, int64_t *bytes, int64_t *inodes);
