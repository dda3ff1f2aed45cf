/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders of a layer down to some depth, with how many of their bytes were read when. It is
 * bounded, whatever the layer: what is deeper, or beyond the bound, counts to the folder above.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "heat/heat_age.h"

#define HEAT_TREE_DEPTH_MAX 8

struct heat_folder {
	char *name;
	struct heat_folder *parent, *first_child, *next;
	int64_t bytes[HEAT_AGES]; /* of everything below */
	int64_t own_bytes[HEAT_AGES]; /* of these, of what has no folder of its own */
	int64_t last_read_ns; /* of anything below */
	uint64_t files; /* below */
	size_t child_count;
};

struct heat_tree;

/* `depth`: how many levels below the root. NULL: out of memory. */
struct heat_tree *heat_tree_new(unsigned depth, int64_t now_ns);
/* Files of one folder have to come one after another, as in the order of strcmp(). A file of
 * `big_bytes` or more gets a place of its own, like a folder. -ENOMEM. */
int heat_tree_add(struct heat_tree *t, const char *path, int64_t size_bytes, int64_t last_read_ns,
		  int64_t big_bytes);
/* The layer's root folder; its name is "". */
const struct heat_folder *heat_tree_root(const struct heat_tree *t);
void heat_tree_free(struct heat_tree *t);
DEFINE_CLEANUP(struct heat_tree *, heat_tree_free)
