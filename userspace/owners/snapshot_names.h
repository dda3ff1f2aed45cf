/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots by the names that clients of containerd have for them. Their keys in the store are
 * NAMESPACE/NUMBER/NAME, where the number grows with each snapshot that is made.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct hashmap;

struct snapshot_names {
	struct hashmap *by_name;
	struct snapshot_name {
		char *name; /* NAMESPACE/NAME */
		unsigned long long number;
		void *value;
	} * items;
	size_t count;
};

/* With room for so many. -ENOMEM. */
int snapshot_names_init(struct snapshot_names *names, size_t room);
void snapshot_names_free(struct snapshot_names *names); /* what it points to */
DEFINE_CLEANUP_VALUE(struct snapshot_names, snapshot_names_free)

/* A name that was removed and used again is there twice until containerd has collected the old one:
 * the newer one counts. A key that containerd did not make is left out. -ENOMEM. */
int snapshot_names_add(struct snapshot_names *names, const char *key, void *value);
/* Docker puts a snapshot of its own between an image and a container. The length of the container's
 * id in such a name or key, CONTAINER-init; 0: it is another snapshot. */
size_t snapshot_names_init_length(const char *name);
/* NULL: there is no such snapshot. */
void *snapshot_names_find(const struct snapshot_names *names, const char *namespace,
			  const char *name);
