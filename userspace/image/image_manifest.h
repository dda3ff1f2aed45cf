/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and indexes of images, OCI's and Docker's (schema 2): read with limits, and written.
 * Pure. In a manifest that was read every digest is well formed and every media type is known; in
 * an index this is true for the chosen image.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "image/image_limits.h"
#include "image/image_platform.h"

#define IMAGE_MEDIA_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define IMAGE_MEDIA_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_MEDIA_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define IMAGE_MEDIA_TYPE_LAYER "application/vnd.oci.image.layer.v1.tar"
#define IMAGE_MEDIA_TYPE_LAYER_GZIP IMAGE_MEDIA_TYPE_LAYER "+gzip"
#define IMAGE_MEDIA_TYPE_LAYER_ZSTD IMAGE_MEDIA_TYPE_LAYER "+zstd"

struct image_descriptor {
	char *media_type;
	struct digest digest;
	int64_t size_bytes;
	/* For images of an index; "" for missing members. NULL in other descriptors. */
	char *tag; /* annotation org.opencontainers.image.ref.name */
	char *os, *architecture, *variant;
	bool is_image; /* false for attestations, signatures and other artifacts */
	char *problem; /* the fault of an invalid descriptor, reported when it is chosen; or NULL */
};

struct image_descriptors {
	struct image_descriptor *items;
	size_t count;
};

void image_descriptors_free(struct image_descriptors *d); /* what it points to */
DEFINE_CLEANUP_VALUE(struct image_descriptors, image_descriptors_free)

/* -EOPNOTSUPP names the media type. */
int image_manifest_check_layer_type(const char *media_type, struct error *e);

enum image_document { IMAGE_DOCUMENT_MANIFEST, IMAGE_DOCUMENT_INDEX };

/*
 * Reads either kind of document. The descriptors of a manifest are its config and then its layers,
 * lowest first; those of an index are its images. media_type is that of the document's descriptor
 * or HTTP header, or NULL. -EBADMSG: malformed; -EOPNOTSUPP: unknown kind; -EFBIG.
 */
int image_manifest_parse(const void *bytes, size_t length, const char *media_type,
			 enum image_document *ret_kind, struct image_descriptors *ret_descriptors,
			 struct error *e);
/* Chooses the image of an index that has the tag or digest (NULL: any) and suits the machine best.
 * -ENOENT lists the tags. */
int image_manifest_choose(const struct image_descriptors *index, const char *tag,
			  const struct image_platform *machine,
			  const struct image_descriptor **ret_chosen, struct error *e);
/* Builds an OCI manifest of descriptors as above. *ret_text is the caller's to free. */
int image_manifest_build(const struct image_descriptors *descriptors, char **ret_text,
			 size_t *ret_length, struct error *e);
/* Adds the image to an OCI index (NULL: a new one) under the tag (NULL: none), replacing the image
 * that had the tag. */
int image_manifest_add_to_index(const void *index, size_t length,
				const struct image_descriptor *image, const char *tag,
				char **ret_text, size_t *ret_length, struct error *e);
