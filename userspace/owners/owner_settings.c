/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"

#define DEFAULT_SNAPSHOTTER "varve"
#define DEFAULT_TIMEOUT_NS (10 * NS_PER_S)

static const struct owner_defaults {
	const char *kind, *address, *namespace;
} defaults[] = {
	[OWNER_BUILDKIT] = { "buildkit", "/run/buildkit/buildkitd.sock", "buildkit" },
	[OWNER_DOCKER] = { "docker", "/run/docker.sock", "moby" },
};

const char *owner_settings_kind(const struct owner_settings *o)
{
	return defaults[o->kind].kind;
}

static void free_texts(struct owner_settings *o)
{
	free(o->name);
	free(o->address);
	free(o->containerd);
	free(o->namespace);
	free(o->snapshotter);
}

int owner_settings_add(struct owners_settings *all, enum owner_kind kind, const char *name,
		       struct owner_settings **ret_owner)
{
	struct owner_settings *items, o = {
		.name = strdup(name),
		.kind = kind,
		.address = strdup(defaults[kind].address),
		.namespace = strdup(defaults[kind].namespace),
		.snapshotter = strdup(DEFAULT_SNAPSHOTTER),
		.timeout_ns = DEFAULT_TIMEOUT_NS,
	};
	int code = 0;

	if (owner_settings_find(all, name))
		code = -EEXIST;
	else if (all->count == OWNERS_MAX)
		code = -E2BIG;
	items = vec_reserve(all->items, &all->capacity, all->count + 1, sizeof(*items));
	if (items)
		all->items = items;
	if (code == 0 && (!items || !o.name || !o.address || !o.namespace || !o.snapshotter))
		code = -ENOMEM;
	if (code < 0) {
		free_texts(&o);
		return code;
	}
	all->items[all->count] = o;
	*ret_owner = &all->items[all->count++];
	return 0;
}

struct owner_settings *owner_settings_find(const struct owners_settings *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->items[i].name, name) == 0)
			return &all->items[i];
	return NULL;
}

int owner_settings_set_evict(struct owner_settings *o, const char *text)
{
	bool cache = strcmp(text, "cache") == 0;

	if (!cache && strcmp(text, "nothing") != 0)
		return -EINVAL;
	o->evict_cache = cache;
	return 0;
}

void owners_settings_free(struct owners_settings *all)
{
	for (size_t i = 0; i < all->count; i++)
		free_texts(&all->items[i]);
	free(all->items);
	*all = (struct owners_settings){ 0 };
}
