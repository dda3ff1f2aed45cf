/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image is read from: an OCI layout, an archive of one, or a registry. Without the lock.
 */
#pragma once

#include "content/blob_fetch.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

/* The reference and the progress are borrowed. */
struct content_source {
	struct manager *m; /* NULL: not open */
	const struct image_reference *reference;
	struct content_progress *progress;
	int layout_fd; /* of a layout, or of an archive that was unpacked; else negative */
	char *scratch; /* where in the store the archive was unpacked, or NULL */
	struct fetch_source registry; /* of a registry */
	int64_t brought_bytes;
};

/* Parses a reference whose paths are absolute; the file system decides where the path of a layout
 * or an archive ends. -EINVAL. */
int content_source_parse(const char *text, struct image_reference *ret_reference, struct error *e);

/* *ret_source is the caller's to close, also on failure. */
int content_source_open(struct manager *m, const struct image_reference *reference,
			struct content_progress *progress, struct content_source *ret_source,
			struct error *e);
void content_source_close(struct content_source *s);
DEFINE_CLEANUP_VALUE(struct content_source, content_source_close)

/* The manifest of the image that the reference names, found through indexes. *ret_manifest is the
 * caller's to free. */
int content_source_manifest(struct content_source *s, struct image_descriptors *ret_manifest,
			    struct digest *ret_digest, struct error *e);

/* Brings a pinned blob into the store, unless it is there. */
int content_source_bring(struct content_source *s, const struct image_descriptor *blob,
			 struct error *e);

/* How the agent's fetches are done; the caller adds what follows their progress. */
struct fetch_control content_source_control(struct manager *m, const atomic_bool *cancelled);

/* Reads a document that is in the store. *ret_bytes is the caller's to free. -ENOENT; -EFBIG. */
int content_source_read(struct manager *m, const struct digest *digest, void **ret_bytes,
			size_t *ret_length, struct error *e);
