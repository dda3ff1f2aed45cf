/* SPDX-License-Identifier: Apache-2.0 */
/* By which names an owner knows the store's records: its own records, and images and containers
 * that need them. */
#pragma once

#include "owners/owner_view.h"

struct owner_name {
	char record[RECORD_ID_LENGTH + 1]; /* Varve's */
	const char *owner; /* lives as long as the settings */
	const char *kind; /* "record", "image" or "container"; static */
	char *id, *description; /* of a container, its image; of an image, its names */
	int64_t last_used_ns; /* as the owner says; 0: never, or not known */
	/* Why the owner would not be asked to remove the record, as a phrase; NULL: it would.
	 * Static.
	 */
	const char *kept;
};

struct owner_names {
	struct owner_name *items; /* sorted by record */
	size_t count, capacity;
};

int owner_names_make(const struct owner_view *v, const struct owner_settings *o,
		     struct owner_names *ret_names, struct error *e);
void owner_names_free(struct owner_names *names); /* what it points to */
DEFINE_CLEANUP_VALUE(struct owner_names, owner_names_free)

/* Visits the names of one record; a negative return ends it, and is returned. */
int owner_names_visit(const struct owner_names *names, const char *record,
		      int (*visit)(const struct owner_name *name, void *user), void *user);
