/* SPDX-License-Identifier: Apache-2.0 */
/* The config of an image: which layers it has by their diff ids, how it runs, and its history.
 * Read with limits, and written for any chain of layers. Pure. */
#pragma once

#include <stdint.h>

#include "image/image_manifest.h"

struct image_diff_ids {
	struct digest *items; /* lowest first */
	size_t count;
};

/* -EBADMSG, -EFBIG. The items are the caller's to free. */
int image_config_parse(const void *bytes, size_t length, struct image_diff_ids *ret_diff_ids,
		       struct error *e);

struct image_config_layer {
	struct digest diff_id;
	int64_t created_ns;
	const char *created_by;
};

/*
 * The config of all the layers. `base` is the config of those at the bottom, or NULL: what it says
 * is kept, and its history goes on. A base that has all of them comes out as it is. -EINVAL: the
 * base has other layers. *ret_text is the caller's to free.
 */
int image_config_build(const void *base, size_t base_length,
		       const struct image_config_layer *layers, size_t count,
		       const char *architecture, char **ret_text, size_t *ret_length,
		       struct error *e);
