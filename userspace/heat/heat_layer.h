/* SPDX-License-Identifier: Apache-2.0 */
/* What a picture is made of: layers, and how large it and its parts are. */
#pragma once

#include <stdbool.h>

#include "heat/heat_tree.h"

#define HEAT_NO_PARENT ((size_t)-1)

struct heat_layer {
	const char *id, *description; /* borrowed; the id is unique */
	int64_t size_bytes, last_read_ns;
	bool pinned, in_use;
	size_t parent; /* its index among the layers */
	struct heat_tree *tree; /* borrowed; NULL: what its folders are is not known */
};

/* In units of the picture: pixels, or cells of a terminal. */
struct heat_measures {
	double width, height; /* of all rows together */
	double row_min, row_max; /* the height of a row */
	double row_thin; /* of one whose layers are all too narrow for a label */
	double header; /* the height of a line of text */
	double character; /* its width */
	double min_width, min_area; /* of what is shown by itself */
	double padding;
	unsigned depth; /* of folders */
};
