/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of the store as OCI layers: into the store, or to whoever reads them. */
#pragma once

#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

enum manager_compression {
	MANAGER_USUAL_COMPRESSION, /* gzip for images, none for a plain tar */
	MANAGER_GZIP,
	MANAGER_ZSTD,
	MANAGER_UNCOMPRESSED,
};

/* The layer's tar into the store; pinned on success. */
int content_pack_layer(struct manager *m, const char *layer, enum manager_compression compression,
		       struct content_progress *progress, struct record_content *ret_content,
		       struct error *e);

/* The record's own layer as an OCI layer, piece by piece; returns what `write` returned when that
 * is negative. */
int manager_diff(struct manager *m, const char *id, enum manager_compression compression,
		 const struct manager_watch *watch,
		 int (*write)(const void *bytes, size_t length, void *user), void *user,
		 struct error *e);
