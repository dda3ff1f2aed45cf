/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says about owners: programs whose records lie in layers of the store, and
 * which are asked to remove them. Plain; nothing here talks to an owner. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum owner_kind { OWNER_BUILDKIT, OWNER_DOCKER, OWNER_CONTAINERD };

/* What an owner may be asked to remove; of a set. */
enum owner_evict {
	OWNER_EVICT_NOTHING = 0,
	OWNER_EVICT_CACHE = 1, /* records of a builder's cache */
	OWNER_EVICT_IMAGES = 2,
};

struct owner_settings {
	char *name; /* unique */
	enum owner_kind kind;
	char *address; /* the path of its socket */
	char *containerd; /* the path of the socket of the containerd below it; NULL: the agent's */
	char *namespace; /* of containerd, in which it has its leases; of containerd itself: NULL */
	char **namespaces; /* of containerd itself: whose images; none: all */
	size_t namespace_count;
	char *snapshotter; /* by which containerd calls the agent */
	unsigned has; /* enum owner_evict: what an owner of its kind could be asked to remove */
	unsigned evict; /* of these, what Varve may ask it to remove */
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
/* "nothing", and what the kind has: "cache", "images", "both". -EINVAL. */
int owner_settings_set_evict(struct owner_settings *o, const char *text);
/* The texts that it takes, as "nothing or cache". Static. */
const char *owner_settings_evict_texts(const struct owner_settings *o);
/* What a plan is about: what may be removed, or everything where nothing may. */
unsigned owner_settings_planned(const struct owner_settings *o);
int owner_settings_add_namespace(struct owner_settings *o, const char *name); /* -ENOMEM */
/* The path of the socket of the containerd below it; `agents` is that of the agent's. */
const char *owner_settings_containerd(const struct owner_settings *o, const char *agents);
/* Of containerd: whether the images of the namespace are its own to evict. Those of Docker's
 * namespace are not, unless the configuration names it. */
bool owner_settings_has_namespace(const struct owners_settings *all, const struct owner_settings *o,
				  const char *name);
const char *owner_settings_kind(const struct owner_settings *o); /* "buildkit", … */
void owners_settings_free(struct owners_settings *all); /* what it points to */
