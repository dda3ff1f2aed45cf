/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an owner has, as it answered once: records of a builder's cache, and for each the snapshot
 * that its lease in containerd keeps; images, and the snapshots at their tops. Nothing of it is
 * believed but names: sizes, times and uses are the store's.
 */
#pragma once

#include <stdatomic.h>

#include "base/cleanup.h"
#include "containerd.pb-c.h"
#include "control.pb-c.h"
#include "owners/clients/containerd_catalog.h"
#include "owners/clients/docker_client.h"
#include "owners/owner_leases.h"
#include "owners/owner_settings.h"

/* One record of the owner's cache, or one of its images. The texts are the answer's. */
struct owner_record {
	const Moby__Buildkit__V1__UsageRecord *said; /* of an image: made of what containerd says */
	const char *snapshot; /* containerd's name of its snapshot; NULL: its lease keeps none */
	bool leased; /* it has a lease: without one it is in use; images need none */
	const struct catalog_image *image; /* NULL: a record of the cache */
	const char *namespace; /* of the snapshots */
	size_t containers; /* of an image: that use it */
	bool unlisted; /* containerd has the image, and Docker does not list it */
};

struct owner_container {
	const Varve__Containerd__Container *said;
	const char *namespace;
	const char *snapshot; /* NULL: none is known */
};

/* What containerd says about one namespace. */
struct owner_namespace {
	char *name;
	struct containerd_catalog catalog; /* without images where they were not asked for */
	struct owner_leases leases;
};

struct owner_answer {
	char *version; /* "": it does not tell */
	struct owner_record *records;
	size_t count;
	struct owner_container *containers;
	size_t container_count;
	struct owner_namespace *namespaces;
	size_t namespace_count;
	/* What the texts above belong to: */
	Moby__Buildkit__V1__DiskUsageResponse *usage; /* NULL: it has no cache */
	Moby__Buildkit__V1__UsageRecord *images;
	char **image_ids, **image_tags; /* one each; the tags of one image with spaces between */
	size_t image_count;
	struct docker_images docker; /* that Docker lists */
};

/* What is asked, and of whom. All is borrowed. */
struct owner_question {
	const struct owner_settings *owner;
	const struct owners_settings *all; /* for what is another owner's */
	const char *containerd; /* the socket for owners that name none */
	const atomic_bool *cancelled; /* may be NULL */
};

/* Asks the owner and containerd. The settings say how long each may be silent, and one call may
 * take no longer than a few times that. No lock of the manager may be held. -EAGAIN: one of them is
 * not there; -ETIMEDOUT; -EPROTO; -ECANCELED. */
int owner_answer_get(const struct owner_question *q, struct owner_answer *ret_answer,
		     struct error *e);
void owner_answer_free(struct owner_answer *a); /* what it points to */
DEFINE_CLEANUP_VALUE(struct owner_answer, owner_answer_free)

struct grpc_channel;

/* A channel to the owner's control service, for calls about single records of its cache. */
int owner_answer_connect(const struct owner_settings *o, const atomic_bool *cancelled,
			 struct grpc_channel **ret_channel, struct error *e);
/* A channel to containerd, for calls about images of a namespace. */
int owner_answer_connect_containerd(const struct owner_question *q, const char *namespace,
				    struct grpc_channel **ret_channel, struct error *e);
