/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image comes from or goes to, as people write it: oci:DIR[:NAME][@DIGEST],
 * oci-archive:FILE[:NAME][@DIGEST], tar:FILE, docker://[HOST/]NAME[:TAG][@DIGEST]. Pure. Without a
 * host it is Docker Hub. A digest counts instead of the tag beside it.
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
	/* A tag, of a layout any name, or a digest; NULL: of a layout the only image, of a registry
	 * latest. */
	char *tag;
	bool by_digest; /* the tag is a digest */
	char *text; /* as it was given */
};

/* -EINVAL says what is wrong with it, and quotes it. */
int image_reference_parse(const char *text, struct image_reference *ret_reference, struct error *e);
void image_reference_free(struct image_reference *r); /* what it points to */
DEFINE_CLEANUP_VALUE(struct image_reference, image_reference_free)

/*
 * Names in layouts have colons and slashes, and so may paths. Parsed as it is, a layout's path ends
 * at the first colon; this moves the end to the first colon before which there is something, as
 * is_there(path) knows. Does nothing to other references. -ENOMEM, -EINVAL.
 */
int image_reference_find_path(struct image_reference *r, bool (*is_there)(const char *path),
			      struct error *e);
