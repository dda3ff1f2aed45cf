/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/image_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text_list.h"
#include "base/vec.h"
#include "owners/clients/containerd_catalog.h"
#include "owners/clients/containerd_client.h"
#include "owners/clients/containerd_images.h"
#include "owners/clients/message_call.h"
#include "owners/snapshot_names.h"

#define CALL_PATIENCES 3 /* one call takes no longer than so many times the patience */

static void entry_free(struct image_entry *entry)
{
	text_list_free(entry->tags, entry->tag_count);
	text_list_free(entry->containers, entry->container_count);
	free(entry->layers);
	free(entry->digest);
	free(entry->namespace);
}

void image_list_free(struct image_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		entry_free(&list->items[i]);
	free(list->items);
	image_tops_free(&list->tops);
	*list = (struct image_list){ 0 };
}

static bool has_layer(const struct image_entry *entry, size_t layer)
{
	for (size_t i = 0; i < entry->layer_count; i++)
		if (entry->layers[i] == layer)
			return true;
	return false;
}

/* Containers that are gone are known by what they left on the top layer. */
static void add_use(struct image_entry *entry, const struct image_top_layer *top_layer)
{
	if (top_layer->last_container_ns > entry->last_container_ns)
		entry->last_container_ns = top_layer->last_container_ns;
}

/* Adds the layers of a chain; an image for several platforms has several. */
static int add_chain(const struct image_list *list, struct image_entry *entry,
		     const struct image_top *top)
{
	size_t *layers = realloc(entry->layers,
				 (entry->layer_count + top->layer_count + 1) * sizeof(*layers));

	if (!layers)
		return -ENOMEM;
	entry->layers = layers;
	if (!*entry->id)
		memcpy(entry->id, top->id, sizeof(entry->id));
	entry->pinned |= top->pinned;
	if (top->layer_count > 0)
		add_use(entry, &list->tops.layers[top->layers[0]]);
	for (size_t i = 0; i < top->layer_count; i++)
		if (!has_layer(entry, top->layers[i]))
			layers[entry->layer_count++] = top->layers[i];
	return 0;
}

static struct image_entry *add_entry(struct image_list *list, const char *namespace)
{
	struct image_entry *items =
		vec_reserve(list->items, &list->capacity, list->count + 1, sizeof(*items));

	if (!items)
		return NULL;
	list->items = items;
	items[list->count] =
		(struct image_entry){ .namespace = namespace ? strdup(namespace) : NULL };
	return namespace && !items[list->count].namespace ? NULL : &items[list->count++];
}

/* ---- one namespace of containerd ---- */

struct namespace
{
	struct image_list *list;
	const char *name, *containerd;
	const struct snapshot_names *tops;
	struct containerd_catalog catalog;
};

static void namespace_free(struct namespace *n)
{
	containerd_catalog_free(&n->catalog);
}
DEFINE_CLEANUP_VALUE(struct namespace, namespace_free)

static int add_image(const struct namespace *n, const struct catalog_image *image)
{
	struct image_entry *entry = add_entry(n->list, n->name);
	int code = entry ? 0 : -ENOMEM;

	if (code < 0)
		return code;
	entry->containerd = n->containerd;
	entry->pinned = image->pinned;
	entry->pulled_ns = image->pulled_ns;
	entry->digest = strdup(image->digest);
	if (!entry->digest)
		return -ENOMEM;
	for (size_t i = 0; code == 0 && i < image->tag_count; i++)
		code = text_list_add(&entry->tags, &entry->tag_count, image->tags[i]);
	for (size_t i = 0; code == 0 && i < image->top_count; i++) {
		const struct image_top *top = snapshot_names_find(n->tops, n->name, image->tops[i]);

		if (top)
			code = add_chain(n->list, entry, top);
	}
	return code;
}

static bool has_tag(const struct image_entry *entry, const char *tag)
{
	for (size_t i = 0; i < entry->tag_count; i++)
		if (strcmp(entry->tags[i], tag) == 0)
			return true;
	return false;
}

/* Whether the container was made of the image, by its name or by what the container lies on. */
static bool uses(const struct image_top *top, const Varve__Containerd__Container *c,
		 const struct image_entry *entry)
{
	if (has_tag(entry, c->image))
		return true;
	/* The first layer is the topmost one. */
	return top && top->layer_count > 0 && entry->layer_count > 0 &&
	       top->layers[0] == entry->layers[0];
}

static int64_t changed_ns(const Varve__Containerd__Container *c)
{
	const Varve__Containerd__Timestamp *at = c->updated_at ? c->updated_at : c->created_at;

	return at && at->seconds > 0 && at->seconds < INT64_MAX / NS_PER_S - 1
		       ? at->seconds * NS_PER_S
		       : 0;
}

/* The entries of the namespace begin at `first`. */
static int add_container(const struct namespace *n, size_t first,
			 const Varve__Containerd__Container *c)
{
	const struct image_top *top = snapshot_names_find(n->tops, n->name, c->snapshot_key);

	for (size_t i = first; i < n->list->count; i++) {
		struct image_entry *entry = &n->list->items[i];

		if (!uses(top, c, entry))
			continue;
		if (text_list_add(&entry->containers, &entry->container_count, c->id) < 0)
			return -ENOMEM;
		if (changed_ns(c) > entry->last_container_ns)
			entry->last_container_ns = changed_ns(c);
	}
	return 0;
}

/* The container that the snapshot NAMESPACE/NAME was made for, the caller's to free; NULL: none. */
static char *docker_container(const struct namespace *n, const struct snapshot_name *snapshot)
{
	size_t prefix = strlen(n->name);
	size_t length = snapshot_names_init_length(snapshot->name);

	if (length == 0 || strncmp(snapshot->name, n->name, prefix) != 0 ||
	    snapshot->name[prefix] != '/')
		return NULL;
	return strndup(snapshot->name + prefix + 1, length);
}

/* containerd knows Docker's containers only while they run, and not of which image: their snapshots
 * tell, for as long as Docker has them. The entries of the namespace begin at `first`. */
static int add_docker_containers(const struct namespace *n, size_t first)
{
	for (size_t i = 0; i < n->tops->count; i++) {
		const struct image_top *init = n->tops->items[i].value;
		cleanup(free_ptr) char *id = docker_container(n, &n->tops->items[i]);

		if (!id || init->layer_count < 2 || !snapshot_names_find(n->tops, n->name, id))
			continue;
		for (size_t k = first; k < n->list->count; k++) {
			struct image_entry *entry = &n->list->items[k];

			if (entry->layers[0] == init->layers[1] &&
			    text_list_add(&entry->containers, &entry->container_count, id) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* Images of which no layer is here belong to another snapshotter. */
static void drop_foreign(struct image_list *list, size_t first)
{
	size_t kept = first;

	for (size_t i = first; i < list->count; i++) {
		if (list->items[i].layer_count > 0)
			list->items[kept++] = list->items[i];
		else
			entry_free(&list->items[i]);
	}
	list->count = kept;
}

static int join(struct namespace *n)
{
	const Varve__Containerd__ListContainersReply *reply = n->catalog.containers;
	size_t first = n->list->count;
	int code = 0;

	for (size_t i = 0; code == 0 && i < n->catalog.count; i++)
		code = add_image(n, &n->catalog.images[i]);
	if (code == 0)
		drop_foreign(n->list, first);
	for (size_t i = 0; code == 0 && i < reply->n_containers; i++)
		code = add_container(n, first, reply->containers[i]);
	return code < 0 ? code : add_docker_containers(n, first);
}

int image_list_connect(const struct image_list_options *o, const char *containerd,
		       const char *namespace, struct grpc_channel **ret_channel, struct error *e)
{
	const struct containerd_access access = { .socket = containerd,
						  .namespace = namespace,
						  .cancelled = o->cancelled,
						  .patience_ns = o->patience_ns,
						  .call_limit_ns =
							  CALL_PATIENCES * o->patience_ns };

	return containerd_client_connect(&access, ret_channel, e);
}

static int ask_namespace(const struct image_list_options *o, const char *containerd,
			 const char *name, const struct snapshot_names *tops,
			 struct image_list *list, struct error *e)
{
	cleanup(namespace_free) struct namespace n = {
		.list = list, .name = name, .containerd = containerd, .tops = tops
	};
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	int code = image_list_connect(o, containerd, name, &ch, e);

	if (code < 0)
		return code;
	code = containerd_catalog_get(ch, &n.catalog, e);
	if (code < 0)
		return code;
	return join(&n) < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
}

/* ---- all of them ---- */

static int index_tops(const struct image_tops *tops, struct snapshot_names *names)
{
	int code = snapshot_names_init(names, tops->count);

	for (size_t i = 0; code == 0 && i < tops->count; i++)
		if (tops->items[i].key)
			code = snapshot_names_add(names, tops->items[i].key, &tops->items[i]);
	return code;
}

static int ask_containerd(const struct image_list_options *o, const char *containerd,
			  const struct snapshot_names *tops, struct image_list *list,
			  struct error *e)
{
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(free_message) Varve__Containerd__ListNamespacesReply *namespaces = NULL;
	int code = image_list_connect(o, containerd, "default", &ch, e);

	if (code < 0)
		return code;
	code = containerd_images_namespaces(ch, &namespaces, e);
	for (size_t i = 0; code == 0 && i < namespaces->n_namespaces; i++)
		code = ask_namespace(o, containerd, namespaces->namespaces[i]->name, tops, list, e);
	return code;
}

/* One that does not answer costs its own images. */
static int try_containerd(const struct image_list_options *o, const char *containerd,
			  const struct snapshot_names *tops, bool optional, struct image_list *list,
			  struct error *e)
{
	struct error theirs = { 0 };
	int code = ask_containerd(o, containerd, tops, list, &theirs);

	if (code == -ECANCELED || code == -ENOMEM)
		return error_set(e, code, "%s", theirs.text);
	if (code < 0 && !*list->problem && !(optional && code == -EAGAIN))
		(void)snprintf(list->problem, sizeof(list->problem), "%s", theirs.text);
	return 0;
}

static const char *socket_of(const struct image_list_options *o, size_t owner)
{
	return owner_settings_containerd(&o->owners->items[owner], o->containerd);
}

/* Whether an owner has the socket of the agent's containerd, or none has another one. */
static bool needs_default(const struct image_list_options *o)
{
	for (size_t i = 0; i < o->owners->count; i++)
		if (strcmp(socket_of(o, i), o->containerd) == 0)
			return true;
	return o->owners->count == 0;
}

static bool was_asked(const struct image_list_options *o, size_t owner)
{
	for (size_t i = 0; i < owner; i++)
		if (strcmp(socket_of(o, i), socket_of(o, owner)) == 0)
			return true;
	return strcmp(socket_of(o, owner), o->containerd) == 0;
}

static int ask_each(const struct image_list_options *o, struct image_list *list, struct error *e)
{
	cleanup(snapshot_names_free) struct snapshot_names tops = { 0 };
	int code = index_tops(&list->tops, &tops);

	if (code < 0)
		return error_set(e, code, "out of memory");
	code = try_containerd(o, o->containerd, &tops, !needs_default(o), list, e);
	for (size_t i = 0; code == 0 && i < o->owners->count; i++)
		if (!was_asked(o, i))
			code = try_containerd(o, socket_of(o, i), &tops, false, list, e);
	return code;
}

static int add_own(struct image_list *list)
{
	for (size_t i = 0; i < list->tops.count; i++) {
		const struct image_top *top = &list->tops.items[i];
		struct image_entry *entry = top->key ? NULL : add_entry(list, NULL);

		if (top->key)
			continue;
		if (!entry || add_chain(list, entry, top) < 0)
			return -ENOMEM;
		entry->held = top->held;
		entry->pulled_ns = top->created_ns;
		for (size_t k = 0; k < top->ref_count; k++)
			if (text_list_add(&entry->tags, &entry->tag_count, top->refs[k]) < 0)
				return -ENOMEM;
	}
	return 0;
}

static void add_layer(const struct image_top_layer *l, bool shared, struct image_entry *entry)
{
	entry->size_bytes += l->bytes;
	entry->shared_bytes += shared ? l->bytes : 0;
	entry->file_bytes += l->file_bytes;
	if (l->last_read_ns > entry->last_read_ns)
		entry->last_read_ns = l->last_read_ns;
	entry->read_bytes =
		l->read_bytes < 0 || entry->read_bytes < 0 ? -1 : entry->read_bytes + l->read_bytes;
}

static int sum(struct image_list *list)
{
	cleanup(free_ptr) unsigned *images = calloc(list->tops.layer_count + 1, sizeof(*images));

	if (!images)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		for (size_t k = 0; k < list->items[i].layer_count; k++)
			images[list->items[i].layers[k]]++;
	for (size_t i = 0; i < list->count; i++) {
		struct image_entry *entry = &list->items[i];

		for (size_t k = 0; k < entry->layer_count; k++)
			add_layer(&list->tops.layers[entry->layers[k]],
				  images[entry->layers[k]] > 1, entry);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;
	int order;

	if (!x->namespace != !y->namespace)
		return x->namespace ? -1 : 1;
	order = x->namespace ? strcmp(x->namespace, y->namespace) : 0;
	if (order == 0 && x->tag_count > 0 && y->tag_count > 0)
		order = strcmp(x->tags[0], y->tags[0]);
	return order ? order : strcmp(x->id, y->id);
}

int image_list_get(const struct image_list_options *o, struct image_list *ret_list, struct error *e)
{
	cleanup(image_list_free) struct image_list list = { 0 };
	int code = image_tops_gather(o->manager, o->with_files, o->cancelled, &list.tops, e);

	if (code < 0)
		return code;
	code = ask_each(o, &list, e);
	if (code < 0)
		return code;
	if (add_own(&list) < 0 || sum(&list) < 0)
		return error_set(e, -ENOMEM, "out of memory to list the images");
	if (list.count > 0)
		qsort(list.items, list.count, sizeof(*list.items), by_name);
	*ret_list = list;
	list = (struct image_list){ 0 };
	return 0;
}
