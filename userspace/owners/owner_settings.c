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
	unsigned has;
	const char *evict_texts;
} defaults[] = {
	[OWNER_BUILDKIT] = { "buildkit", "/run/buildkit/buildkitd.sock", "buildkit",
			     OWNER_EVICT_CACHE, "nothing or cache" },
	[OWNER_DOCKER] = { "docker", "/run/docker.sock", "moby",
			   OWNER_EVICT_CACHE | OWNER_EVICT_IMAGES,
			   "nothing, cache, images or both" },
	[OWNER_CONTAINERD] = { "containerd", "/run/containerd/containerd.sock", NULL,
			       OWNER_EVICT_IMAGES, "nothing or images" },
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
	for (size_t i = 0; i < o->namespace_count; i++)
		free(o->namespaces[i]);
	free(o->namespaces);
}

int owner_settings_add(struct owners_settings *all, enum owner_kind kind, const char *name,
		       struct owner_settings **ret_owner)
{
	struct owner_settings *items, o = {
		.name = strdup(name),
		.kind = kind,
		.address = strdup(defaults[kind].address),
		.namespace = kind == OWNER_CONTAINERD ? NULL : strdup(defaults[kind].namespace),
		.has = defaults[kind].has,
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
	if (code == 0 && (!items || !o.name || !o.address || !o.snapshotter ||
			  (!o.namespace && kind != OWNER_CONTAINERD)))
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
	static const struct {
		const char *text;
		unsigned evict;
	} words[] = {
		{ "nothing", OWNER_EVICT_NOTHING },
		{ "cache", OWNER_EVICT_CACHE },
		{ "images", OWNER_EVICT_IMAGES },
		{ "both", OWNER_EVICT_CACHE | OWNER_EVICT_IMAGES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i].text) != 0)
			continue;
		if (words[i].evict & ~o->has)
			return -EINVAL;
		o->evict = words[i].evict;
		return 0;
	}
	return -EINVAL;
}

const char *owner_settings_evict_texts(const struct owner_settings *o)
{
	return defaults[o->kind].evict_texts;
}

unsigned owner_settings_planned(const struct owner_settings *o)
{
	return o->evict ? o->evict : o->has;
}

int owner_settings_add_namespace(struct owner_settings *o, const char *name)
{
	char **more = realloc(o->namespaces, (o->namespace_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	o->namespaces = more;
	more[o->namespace_count] = strdup(name);
	return more[o->namespace_count] ? (o->namespace_count++, 0) : -ENOMEM;
}

const char *owner_settings_containerd(const struct owner_settings *o, const char *agents)
{
	if (o->kind == OWNER_CONTAINERD)
		return o->address;
	return o->containerd ? o->containerd : agents;
}

bool owner_settings_has_namespace(const struct owners_settings *all, const struct owner_settings *o,
				  const char *name)
{
	for (size_t i = 0; i < o->namespace_count; i++)
		if (strcmp(o->namespaces[i], name) == 0)
			return true;
	if (o->namespace_count > 0)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if ((all->items[i].has & OWNER_EVICT_IMAGES) && all->items[i].namespace &&
		    strcmp(all->items[i].namespace, name) == 0)
			return false;
	return true;
}

void owners_settings_free(struct owners_settings *all)
{
	for (size_t i = 0; i < all->count; i++)
		free_texts(&all->items[i]);
	free(all->items);
	*all = (struct owners_settings){ 0 };
}
