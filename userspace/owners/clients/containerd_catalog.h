/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images and containers of one namespace of containerd, and the snapshots that each image's
 * layers end at, which the labels of containerd's garbage collector tell.
 */
#pragma once

#include "base/cleanup.h"
#include "containerd.pb-c.h"
#include "transport/grpc_channel.h"

/* One manifest or index, under all of its names. */
struct catalog_image {
	char *digest;
	char **tags;
	size_t tag_count;
	char **tops; /* snapshots, one for each platform that was unpacked */
	size_t top_count;
	bool pinned; /* by Kubernetes */
	int64_t pulled_ns; /* 0: not known */
};

struct containerd_catalog {
	struct catalog_image *images;
	size_t count, capacity;
	Varve__Containerd__ListContainersReply *containers;
};

/* Whether Kubernetes has pinned the image. */
bool containerd_catalog_is_pinned(const Varve__Containerd__Image *image);

/* The channel speaks for the namespace. */
int containerd_catalog_get(struct grpc_channel *ch, struct containerd_catalog *ret_catalog,
			   struct error *e);
/* The same from the two answers, without containers. -ENOMEM. */
int containerd_catalog_join(const Varve__Containerd__ListImagesReply *images,
			    const Varve__Containerd__ListContentReply *content,
			    struct containerd_catalog *ret_catalog);
void containerd_catalog_free(struct containerd_catalog *c); /* what it points to */
DEFINE_CLEANUP_VALUE(struct containerd_catalog, containerd_catalog_free)
