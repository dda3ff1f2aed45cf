/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images of all namespaces of each containerd that the configuration names, and Varve's own,
 * joined with their layers. Sizes and reads are the store's; names, containers and pins are what
 * containerd says. No lock is held while it is asked.
 */
#pragma once

#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "manager/images/image_tops.h"
#include "owners/owner_settings.h"

struct image_list_options {
	struct manager *manager;
	const char *containerd; /* the path of its socket */
	/* Their containerds are asked as well. Borrowed, and outlives the list. */
	const struct owners_settings *owners;
	int64_t patience_ns;
	bool with_files; /* what share of the bytes was ever read: looks at every file */
	const atomic_bool *cancelled; /* may be NULL */
};

/* One manifest of one namespace, under all of its names. */
struct image_entry {
	char *namespace; /* of containerd; NULL: it is Varve's own */
	const char *containerd; /* the path of its socket, of the options; NULL likewise */
	char **tags;
	size_t tag_count;
	char *digest; /* NULL: not known */
	char id[RECORD_ID_LENGTH + 1]; /* of the record at its top */
	size_t *layers; /* indexes of its layers */
	size_t layer_count;
	int64_t size_bytes, shared_bytes; /* of its layers; of those that other images have, too */
	char **containers;
	size_t container_count;
	bool pinned; /* by Kubernetes, or in Varve */
	bool held; /* by a lease of Varve */
	int64_t pulled_ns; /* 0: not known */
	int64_t last_read_ns; /* 0: never */
	/* When a container was made of it or changed last, or removed; 0: not known. */
	int64_t last_container_ns;
	int64_t file_bytes, read_bytes; /* of its files; of those ever read, or -1: not known */
};

struct image_list {
	struct image_entry *items; /* by namespace and first tag, Varve's own last */
	size_t count, capacity;
	struct image_tops tops;
	/* Why those of a containerd are missing, the first of them; "": none are. */
	char problem[sizeof(((struct error *)0)->text)];
};

/* That containerd does not answer is in the list. */
int image_list_get(const struct image_list_options *o, struct image_list *ret_list,
		   struct error *e);
void image_list_free(struct image_list *list); /* what it points to */
DEFINE_CLEANUP_VALUE(struct image_list, image_list_free)

/* A channel to the containerd at the socket, for calls about images of a namespace. */
struct grpc_channel;
int image_list_connect(const struct image_list_options *o, const char *containerd,
		       const char *namespace, struct grpc_channel **ret_channel, struct error *e);
