/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of the store as OCI layers: into the store, or to whoever reads them. */
#pragma once

#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

enum image_compression {
	IMAGE_USUAL_COMPRESSION, /* gzip for images, none for a plain tar */
	IMAGE_GZIP,
	IMAGE_ZSTD,
	IMAGE_UNCOMPRESSED,
};

/* The layer's tar into the store; pinned on success. */
int image_pack_layer(struct manager *m, const char *layer, enum image_compression compression,
		     struct content_progress *progress, struct record_content *ret_content,
		     struct error *e);

/* The record's own layer as an OCI layer, piece by piece; returns what `write` returned when that
 * is negative. */
int image_pack_diff(struct manager *m, const char *id, enum image_compression compression,
		    const struct content_watch *watch,
		    int (*write)(const void *bytes, size_t length, void *user), void *user,
		    struct error *e);
