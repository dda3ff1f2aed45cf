/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References to images as users write them: oci:DIR[:NAME][@DIGEST],
 * oci-archive:FILE[:NAME][@DIGEST], tar:FILE, docker://[HOST/]NAME[:TAG][@DIGEST]. Pure. The
 * default host is Docker Hub. A digest overrides the tag beside it.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

enum image_transport { IMAGE_OCI, IMAGE_OCI_ARCHIVE, IMAGE_TAR, IMAGE_REGISTRY };

#define IMAGE_REFERENCE_MAX 4096
#define IMAGE_TAG_MAX 128
#define IMAGE_NAME_MAX 1024 /* in a layout */

struct image_reference {
	enum image_transport transport;
	char *path; /* all but IMAGE_REGISTRY */
	char *registry, *repository; /* IMAGE_REGISTRY */
	/* A tag (in layouts: any name) or a digest; NULL: the only image of a layout, or the tag
	 * "latest" of a registry. */
	char *tag;
	bool by_digest; /* the tag is a digest */
	char *text; /* as it was given */
};

/* -EINVAL says what is wrong with it, and quotes it. */
int image_reference_parse(const char *text, struct image_reference *ret_reference, struct error *e);
void image_reference_free(struct image_reference *r); /* what it points to */
DEFINE_CLEANUP_VALUE(struct image_reference, image_reference_free)

/*
 * Names in layouts contain colons and slashes, and paths may contain colons.
 * image_reference_parse() ends the path at the first colon; this ends it at the first colon that
 * follows an existing path, as is_there() decides. Does nothing for other references. -ENOMEM,
 * -EINVAL.
 */
int image_reference_find_path(struct image_reference *r, bool (*is_there)(const char *path),
			      struct error *e);
