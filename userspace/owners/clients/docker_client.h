/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's HTTP API on its socket, as far as it is about images. The builder's cache is asked for
 * by the gRPC that dockerd has behind an upgrade: see buildkit_client.h. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* All is borrowed. */
struct docker_access {
	const char *socket;
	const atomic_bool *cancelled; /* may be NULL */
	int64_t patience_ns; /* for an answer */
};

/* The ids of images: digests of manifests or indexes. */
struct docker_images {
	char **ids;
	size_t count;
};

void docker_images_free(struct docker_images *images); /* what it points to */
DEFINE_CLEANUP_VALUE(struct docker_images, docker_images_free)

/* The version, the caller's to free. -EAGAIN: dockerd is not there; -ETIMEDOUT; -EPROTO. */
int docker_client_version(const struct docker_access *access, char **ret_version, struct error *e);
int docker_client_images(const struct docker_access *access, struct docker_images *ret_images,
			 struct error *e);
/* -ENOENT: there is no such image; -EBUSY: a container uses it, running or not. */
int docker_client_remove_image(const struct docker_access *access, const char *name,
			       struct error *e);

/* What dockerd has answered; for tests of what it may answer. -EPROTO. */
int docker_client_read_version(const char *text, size_t length, char **ret_version,
			       struct error *e);
int docker_client_read_images(const char *text, size_t length, struct docker_images *ret_images,
			      struct error *e);
