/* SPDX-License-Identifier: Apache-2.0 */
/* Containerd may change between the list and a removal: each image is looked up again just before.
 */
#include "owners/image_prune.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "owners/clients/containerd_images.h"
#include "owners/clients/docker_client.h"
#include "transport/grpc_channel.h"

const char *image_prune_keep(const struct image_entry *entry, int64_t unread_for_ns, int64_t now_ns)
{
	int64_t last_ns = entry->last_read_ns > entry->pulled_ns ? entry->last_read_ns
								 : entry->pulled_ns;

	if (!entry->namespace)
		return "it is Varve's own (varve prune)";
	if (entry->pinned)
		return "it is pinned";
	if (entry->container_count > 0)
		return "a container uses it";
	if (last_ns > now_ns - unread_for_ns)
		return "it was read or pulled too recently";
	return NULL;
}

static const struct image_entry *find(const struct image_list *list,
				      const struct image_entry *wanted)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct image_entry *entry = &list->items[i];

		if (entry->namespace && strcmp(entry->namespace, wanted->namespace) == 0 &&
		    strcmp(entry->containerd, wanted->containerd) == 0 &&
		    strcmp(entry->digest, wanted->digest) == 0)
			return entry;
	}
	return NULL;
}

/* The owner to ask about the image; NULL: there is none in the configuration. */
static const struct owner_settings *find_owner(const struct image_prune_options *o,
					       const struct image_entry *entry)
{
	const struct owners_settings *owners = o->list.owners;
	const struct owner_settings *found = NULL;

	for (size_t i = 0; i < owners->count; i++) {
		const struct owner_settings *owner = &owners->items[i];

		if (strcmp(owner_settings_containerd(owner, o->list.containerd),
			   entry->containerd) != 0)
			continue;
		if (owner->kind == OWNER_CONTAINERD &&
		    owner_settings_has_namespace(owners, owner, entry->namespace))
			found = owner;
		if (owner->kind == OWNER_DOCKER && strcmp(owner->namespace, entry->namespace) == 0)
			return owner;
	}
	return found;
}

static bool may_remove(const struct image_prune_options *o, const struct image_entry *entry)
{
	const struct owner_settings *owner = find_owner(o, entry);

	return owner && (owner->evict & OWNER_EVICT_IMAGES);
}

static bool may_remove_any(const struct image_prune_options *o)
{
	for (size_t i = 0; i < o->list.owners->count; i++)
		if (o->list.owners->items[i].evict & OWNER_EVICT_IMAGES)
			return true;
	return false;
}

/* Images of an owner that is never asked are not offered either. */
static bool is_left_out(const struct image_prune_options *o, const struct image_entry *entry)
{
	return may_remove_any(o) && !may_remove(o, entry);
}

/* The last name goes with a collection of what it kept. */
static int remove_name(const struct image_prune_options *o, struct grpc_channel *ch,
		       const struct image_entry *entry, size_t i, struct error *e)
{
	const struct owner_settings *owner = find_owner(o, entry);
	const struct docker_access docker = { .socket = owner->address,
					      .cancelled = o->list.cancelled,
					      .patience_ns = owner->timeout_ns };

	if (owner->kind == OWNER_DOCKER)
		return docker_client_remove_image(&docker, entry->tags[i], e);
	return containerd_images_delete(ch, entry->tags[i], i + 1 == entry->tag_count, e);
}

static int remove_names(const struct image_prune_options *o, const struct image_entry *entry,
			struct error *e)
{
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	int code = image_list_connect(&o->list, entry->containerd, entry->namespace, &ch, e);

	for (size_t i = 0; code == 0 && i < entry->tag_count; i++) {
		code = remove_name(o, ch, entry, i, e);
		if (code == -ENOENT) /* its owner was faster */
			code = 0;
	}
	return code;
}

static int remove_image(const struct image_prune_options *o, const struct image_entry *entry,
			struct error *e)
{
	cleanup(image_list_free) struct image_list now = { 0 };
	struct image_list_options again = o->list;
	const struct image_entry *same;
	const char *keep;
	int code;

	again.with_files = false;
	code = image_list_get(&again, &now, e);
	if (code < 0)
		return code;
	same = find(&now, entry);
	if (!same && *now.problem)
		return error_set(e, -EAGAIN, "%s", now.problem);
	if (!same)
		return 0; /* it is gone */
	keep = image_prune_keep(same, o->unread_for_ns, clock_wall_ns());
	if (keep)
		return error_set(e, -EBUSY, "%s now", keep);
	return remove_names(o, same, e);
}

int image_prune_run(const struct image_prune_options *o,
		    int (*pruned)(const struct image_entry *entry, const char *refused, void *user),
		    void *user, struct error *e)
{
	cleanup(image_list_free) struct image_list list = { 0 };
	int64_t now_ns = clock_wall_ns();
	int code;

	if (!o->dry_run && !may_remove_any(o))
		return error_set(e, -EPERM,
				 "the agent may not ask containerd to remove images: set evict = "
				 "images in the section [containerd] of its configuration");
	code = image_list_get(&o->list, &list, e);
	if (code < 0)
		return code;
	for (size_t i = 0; code == 0 && i < list.count; i++) {
		const struct image_entry *entry = &list.items[i];
		struct error refused = { 0 };

		if (image_prune_keep(entry, o->unread_for_ns, now_ns) || is_left_out(o, entry))
			continue;
		if (!o->dry_run && remove_image(o, entry, &refused) == -ECANCELED)
			return error_set(e, -ECANCELED, "%s", refused.text);
		code = pruned(entry, *refused.text ? refused.text : NULL, user);
	}
	/* One that does not answer has kept its own images only. */
	return code == 0 && *list.problem ? error_set(e, -EAGAIN, "%s", list.problem) : code;
}
