/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an export: the image, whose blobs are all in the store, goes to a layout, an archive,
 * a registry, or as a plain tar. */
#pragma once

#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_use.h"
#include "manager/images/image_requests.h"

/* A record of the chain. */
struct export_layer {
	char id[RECORD_ID_LENGTH + 1], layer[LAYER_NAME_LENGTH + 1];
	struct record_content *content; /* NULL: it has none yet */
	struct blob_pin pin; /* of its blob */
	bool lazy;
	bool is_containerds; /* a snapshot, or a kept layer of one */
	int64_t created_ns;
	char *description;
};

struct exporting {
	struct manager *m;
	const struct image_export_options *o;
	const struct image_reference *to;
	struct content_progress *progress;
	struct content_use top;
	struct export_layer *layers; /* lowest first */
	size_t count;
	struct image_descriptor config, manifest; /* blobs of the store */
	struct blob_pin config_pin, manifest_pin;
	int64_t packed_bytes;
};

/* Without the lock. */
int image_send(struct exporting *x, struct error *e);
