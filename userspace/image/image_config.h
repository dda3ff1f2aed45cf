/* SPDX-License-Identifier: Apache-2.0 */
/* The config of an image: the diff ids of its layers, how it runs, and its history. Read with
 * limits, and written for any chain of layers. Pure. */
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
 * Builds the config for all the layers. `base`, or NULL, is the config for the lowest of them; its
 * members are kept and its history is continued. A base for all the layers is returned unchanged.
 * -EINVAL: the base has other layers. *ret_text is the caller's to free.
 */
int image_config_build(const void *base, size_t base_length,
		       const struct image_config_layer *layers, size_t count,
		       const char *architecture, char **ret_text, size_t *ret_length,
		       struct error *e);
