/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image comes from or goes to, as people write it: oci:DIR[:TAG], oci-archive:FILE[:TAG],
 * tar:FILE, docker://[HOST/]NAME[:TAG|@DIGEST]. Pure. Without a host it is Docker's registry.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

enum image_transport { IMAGE_OCI, IMAGE_OCI_ARCHIVE, IMAGE_TAR, IMAGE_REGISTRY };

#define IMAGE_REFERENCE_MAX 4096
#define IMAGE_TAG_MAX 128

struct image_reference {
	enum image_transport transport;
	char *path; /* all but IMAGE_REGISTRY */
	char *registry, *repository; /* IMAGE_REGISTRY */
	char *tag; /* or a digest, or NULL: of an OCI layout the only image, of a registry latest */
	char *text; /* as it was given */
};

/* -EINVAL says what is wrong with it, and quotes it. */
int image_reference_parse(const char *text, struct image_reference *ret_reference, struct error *e);
void image_reference_free(struct image_reference *r); /* what it points to */
static inline void cleanup_image_reference_free(struct image_reference *r)
{
	image_reference_free(r);
}
