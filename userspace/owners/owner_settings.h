/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says about owners: programs whose records lie in layers of the store, and
 * which are asked to remove them. Plain; nothing here talks to an owner. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum owner_kind { OWNER_BUILDKIT, OWNER_DOCKER };

struct owner_settings {
	char *name; /* unique */
	enum owner_kind kind;
	char *address; /* the path of its socket */
	char *containerd; /* the path of the socket of the containerd below it; NULL: the agent's */
	char *namespace; /* of containerd, in which it has its leases */
	char *snapshotter; /* by which containerd calls the agent */
	bool evict_cache; /* Varve may ask it to remove records of its cache */
	int64_t timeout_ns; /* how long it may be silent */
};

struct owners_settings {
	struct owner_settings *items;
	size_t count, capacity;
};

#define OWNERS_MAX 16

/* A new owner with the defaults of its kind. -EEXIST; -E2BIG: there are OWNERS_MAX; -ENOMEM. */
int owner_settings_add(struct owners_settings *all, enum owner_kind kind, const char *name,
		       struct owner_settings **ret_owner);
struct owner_settings *owner_settings_find(const struct owners_settings *all, const char *name);
/* "nothing", "cache". -EINVAL. */
int owner_settings_set_evict(struct owner_settings *o, const char *text);
const char *owner_settings_kind(const struct owner_settings *o); /* "buildkit", … */
void owners_settings_free(struct owners_settings *all); /* what it points to */
