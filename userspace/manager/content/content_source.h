/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image is read from: a layout, an archive or a registry. */
#pragma once

#include "content/blob_fetch.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

/* An image is read from a layout or a registry. */
struct content_source {
	struct manager *m;
	const struct image_reference *reference;
	struct content_progress *progress;
	int layout_fd; /* of a layout */
	char *scratch; /* in the store, where an archive was unpacked; NULL: none */
	struct fetch_source registry; /* of a registry */
	int64_t brought_bytes;
};

/* What is there tells where the path of a layout or an archive ends. -EINVAL. */
int content_source_parse(const char *text, struct image_reference *ret_reference, struct error *e);
int content_source_open(struct manager *m, const struct image_reference *reference,
			struct content_progress *progress, struct content_source *ret_source,
			struct error *e);
void content_source_close(struct content_source *s);

/* The manifest of the image that the reference names; through indexes. */
int content_source_manifest(struct content_source *s, struct image_descriptors *ret_manifest,
			    struct digest *ret_digest, struct error *e);

/* Into the store, where it must be pinned; 0 at once when it is there. */
int content_source_bring(struct content_source *s, const struct image_descriptor *blob,
			 struct error *e);
struct fetch_control content_source_control(struct manager *m, const atomic_bool *cancelled);

/* A document that is in the store; the caller's to free. */
int content_source_read(struct manager *m, const struct digest *digest, void **ret_bytes,
			size_t *ret_length, struct error *e);
