/* SPDX-License-Identifier: Apache-2.0 */
/* An image on its way out, whose blobs are all in the store: to a layout, an archive or a registry.
 */
#pragma once

#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/images/image_export.h"
#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

/* A record of the chain. Its blob is pinned once it is known. */
struct export_layer {
	char id[RECORD_ID_LENGTH + 1], layer[LAYER_NAME_LENGTH + 1];
	struct record_content *content; /* NULL: it has none yet */
	bool lazy, pinned;
	int64_t created_ns;
	char *description;
};

struct exporting {
	struct manager *m;
	const struct image_export_options *o;
	const struct image_reference *to;
	struct content_progress *progress;
	struct record *top; /* its `extractions` are counted */
	struct export_layer *layers; /* lowest first */
	size_t count;
	struct image_descriptor config, manifest; /* blobs of the store, pinned */
	bool config_pinned, manifest_pinned;
	int64_t packed_bytes;
};

/* Everything is in the store: to the layout, the archive or the registry. */
int image_send(struct exporting *x, struct error *e);
