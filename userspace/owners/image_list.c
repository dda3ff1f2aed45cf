/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an image to its layers: the content that the image names refers to more content by labels of
 * containerd's garbage collector, and a config refers to the snapshot of its top layer.
 */
#include "owners/image_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "owners/clients/containerd_client.h"
#include "owners/clients/containerd_images.h"
#include "owners/clients/message_call.h"

#define REF_CONTENT "containerd.io/gc.ref.content"
#define REF_SNAPSHOT "containerd.io/gc.ref.snapshot."
#define PINNED "io.cri-containerd.pinned"
#define CALL_PATIENCES 3 /* one call takes no longer than so many times the patience */
#define CONTENTS_PER_IMAGE 1000 /* more that one refers to are no image */

static void entry_free(struct image_entry *entry)
{
	for (size_t i = 0; i < entry->tag_count; i++)
		free(entry->tags[i]);
	for (size_t i = 0; i < entry->container_count; i++)
		free(entry->containers[i]);
	free(entry->tags);
	free(entry->containers);
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

/* Adds a copy of the text. */
static int add_text(char ***texts, size_t *count, const char *text)
{
	char **more = realloc(*texts, (*count + 1) * sizeof(**texts));

	if (!more)
		return -ENOMEM;
	*texts = more;
	more[*count] = strdup(text);
	if (!more[*count])
		return -ENOMEM;
	++*count;
	return 0;
}

static bool has_layer(const struct image_entry *entry, size_t layer)
{
	for (size_t i = 0; i < entry->layer_count; i++)
		if (entry->layers[i] == layer)
			return true;
	return false;
}

/* Adds the layers of a chain; an image for several platforms has several. */
static int add_chain(struct image_entry *entry, const struct image_top *top)
{
	size_t *layers = realloc(entry->layers,
				 (entry->layer_count + top->layer_count + 1) * sizeof(*layers));

	if (!layers)
		return -ENOMEM;
	entry->layers = layers;
	if (!*entry->id)
		memcpy(entry->id, top->id, sizeof(entry->id));
	entry->pinned |= top->pinned;
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

struct content {
	char *digest;
	char **refs; /* digests of content */
	size_t ref_count;
	char **chains; /* snapshots of the top layer */
	size_t chain_count;
};

struct namespace
{
	struct image_list *list;
	const char *name;
	const struct hashmap *tops; /* by "NAMESPACE/CHAIN" */
	struct content *contents;
	size_t count, capacity;
	struct hashmap *by_digest; /* once all are there */
	Varve__Containerd__ListContainersReply *containers;
};

static void namespace_free(struct namespace *n)
{
	for (size_t i = 0; i < n->count; i++) {
		struct content *c = &n->contents[i];

		for (size_t k = 0; k < c->ref_count; k++)
			free(c->refs[k]);
		for (size_t k = 0; k < c->chain_count; k++)
			free(c->chains[k]);
		free(c->refs);
		free(c->chains);
		free(c->digest);
	}
	free(n->contents);
	hashmap_free(n->by_digest);
	if (n->containers)
		protobuf_c_message_free_unpacked(&n->containers->base, NULL);
}
DEFINE_CLEANUP_VALUE(struct namespace, namespace_free)

/* Only content that refers to something matters. */
static int add_content(const Varve__Containerd__Info *info, void *user)
{
	struct namespace *n = user;
	struct content *contents, *c = NULL;
	int code = 0;

	for (size_t i = 0; code == 0 && i < info->n_labels; i++) {
		const char *key = info->labels[i]->key, *value = info->labels[i]->value;
		bool to_snapshot = strncmp(key, REF_SNAPSHOT, strlen(REF_SNAPSHOT)) == 0;

		if (!to_snapshot && strncmp(key, REF_CONTENT, strlen(REF_CONTENT)) != 0)
			continue;
		if (!c) {
			contents = vec_reserve(n->contents, &n->capacity, n->count + 1,
					       sizeof(*contents));
			if (!contents)
				return -ENOMEM;
			n->contents = contents;
			c = &contents[n->count];
			*c = (struct content){ .digest = strdup(info->digest) };
			if (!c->digest)
				return -ENOMEM;
			n->count++;
		}
		code = to_snapshot ? add_text(&c->chains, &c->chain_count, value)
				   : add_text(&c->refs, &c->ref_count, value);
	}
	return code;
}

static int index_contents(struct namespace *n)
{
	n->by_digest = hashmap_new();
	if (!n->by_digest)
		return -ENOMEM;
	for (size_t i = 0; i < n->count; i++)
		if (hashmap_insert(n->by_digest, n->contents[i].digest, &n->contents[i]) == -ENOMEM)
			return -ENOMEM;
	return 0;
}

static const struct image_top *find_top(const struct namespace *n, const char *name)
{
	cleanup(strbuf_free) struct strbuf key = { 0 };

	strbuf_appendf(&key, "%s/%s", n->name, name);
	return key.text ? hashmap_find(n->tops, key.text) : NULL;
}

/* Follows the references from the digest, each content once. */
static int add_chains(const struct namespace *n, const char *digest, struct image_entry *entry)
{
	cleanup(hashmap_free) struct hashmap *seen = hashmap_new();
	const char *waiting[CONTENTS_PER_IMAGE] = { digest };
	size_t count = 1;
	int code = seen ? 0 : -ENOMEM;

	while (code == 0 && count > 0) {
		const struct content *c = hashmap_find(n->by_digest, waiting[--count]);

		if (!c || hashmap_find(seen, c->digest))
			continue;
		code = hashmap_insert(seen, c->digest, (void *)c);
		for (size_t i = 0; code == 0 && i < c->chain_count; i++) {
			const struct image_top *top = find_top(n, c->chains[i]);

			if (top)
				code = add_chain(entry, top);
		}
		for (size_t i = 0; i < c->ref_count && count < CONTENTS_PER_IMAGE; i++)
			waiting[count++] = c->refs[i];
	}
	return code;
}

static const struct image_entry *entry_of(const struct namespace *n, size_t first,
					  const char *digest)
{
	for (size_t i = first; i < n->list->count; i++)
		if (n->list->items[i].digest && strcmp(n->list->items[i].digest, digest) == 0)
			return &n->list->items[i];
	return NULL;
}

static void add_facts(const Varve__Containerd__Image *image, struct image_entry *entry)
{
	const Varve__Containerd__Timestamp *at = image->updated_at ? image->updated_at
								   : image->created_at;
	int64_t pulled_ns = at ? at->seconds * NS_PER_S + at->nanos : 0;

	if (pulled_ns > entry->pulled_ns)
		entry->pulled_ns = pulled_ns;
	for (size_t i = 0; i < image->n_labels; i++)
		entry->pinned |= strcmp(image->labels[i]->key, PINNED) == 0;
}

/* The entries of the namespace begin at `first`. */
static int add_image(const struct namespace *n, size_t first, const Varve__Containerd__Image *image)
{
	struct image_entry *entry;
	int code = 0;

	if (!image->target)
		return 0;
	entry = (struct image_entry *)entry_of(n, first, image->target->digest);
	if (!entry) {
		entry = add_entry(n->list, n->name);
		if (!entry)
			return -ENOMEM;
		entry->digest = strdup(image->target->digest);
		code = entry->digest ? add_chains(n, entry->digest, entry) : -ENOMEM;
	}
	if (code == 0)
		code = add_text(&entry->tags, &entry->tag_count, image->name);
	add_facts(image, entry);
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
static bool uses(const struct namespace *n, const Varve__Containerd__Container *c,
		 const struct image_entry *entry)
{
	const struct image_top *top = find_top(n, c->snapshot_key);

	if (has_tag(entry, c->image))
		return true;
	/* The first layer is the topmost one. */
	return top && top->layer_count > 0 && entry->layer_count > 0 &&
	       top->layers[0] == entry->layers[0];
}

static int add_containers(const struct namespace *n, struct image_entry *entry)
{
	for (size_t i = 0; i < n->containers->n_containers; i++) {
		const Varve__Containerd__Container *c = n->containers->containers[i];

		if (uses(n, c, entry) &&
		    add_text(&entry->containers, &entry->container_count, c->id) < 0)
			return -ENOMEM;
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

static int join(struct namespace *n, const Varve__Containerd__ListImagesReply *images)
{
	size_t first = n->list->count;
	int code = index_contents(n);

	for (size_t i = 0; code == 0 && i < images->n_images; i++)
		code = add_image(n, first, images->images[i]);
	if (code == 0)
		drop_foreign(n->list, first);
	for (size_t i = first; code == 0 && i < n->list->count; i++)
		code = add_containers(n, &n->list->items[i]);
	return code;
}

int image_list_connect(const struct image_list_options *o, const char *namespace,
		       struct grpc_channel **ret_channel, struct error *e)
{
	const struct containerd_access access = { .socket = o->containerd,
						  .namespace = namespace,
						  .cancelled = o->cancelled,
						  .patience_ns = o->patience_ns,
						  .call_limit_ns =
							  CALL_PATIENCES * o->patience_ns };

	return containerd_client_connect(&access, ret_channel, e);
}

static int ask_namespace(const struct image_list_options *o, const char *name,
			 const struct hashmap *tops, struct image_list *list, struct error *e)
{
	cleanup(namespace_free) struct namespace n = { .list = list, .name = name, .tops = tops };
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(free_message) Varve__Containerd__ListImagesReply *images = NULL;
	int code = image_list_connect(o, name, &ch, e);

	if (code < 0)
		return code;
	code = containerd_images_list(ch, &images, e);
	if (code < 0 || images->n_images == 0)
		return code;
	code = containerd_images_containers(ch, &n.containers, e);
	if (code < 0)
		return code;
	code = containerd_images_content(ch, add_content, &n, e);
	if (code < 0)
		return code;
	return join(&n, images) < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
}

/* ---- all of them ---- */

/* "NAMESPACE/NAME" of a snapshot's key "NAMESPACE/NUMBER/NAME"; NULL: it has another form. */
static char *short_key(const char *key)
{
	struct strbuf text = { 0 };
	const char *number = strchr(key, '/');
	const char *name = number ? strchr(number + 1, '/') : NULL;

	if (!name)
		return NULL;
	strbuf_append_bytes(&text, key, (size_t)(number - key));
	strbuf_append(&text, name);
	return strbuf_take(&text);
}

struct index {
	struct hashmap *tops;
	char **keys;
	size_t count;
};

static void index_free(struct index *x)
{
	for (size_t i = 0; i < x->count; i++)
		free(x->keys[i]);
	free(x->keys);
	hashmap_free(x->tops);
}
DEFINE_CLEANUP_VALUE(struct index, index_free)

static int index_tops(const struct image_tops *tops, struct index *x)
{
	x->tops = hashmap_new();
	x->keys = calloc(tops->count + 1, sizeof(*x->keys));
	if (!x->tops || !x->keys)
		return -ENOMEM;
	for (size_t i = 0; i < tops->count; i++) {
		char *key = tops->items[i].key ? short_key(tops->items[i].key) : NULL;

		if (!key)
			continue;
		x->keys[x->count++] = key;
		if (hashmap_insert(x->tops, key, &tops->items[i]) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int ask_containerd(const struct image_list_options *o, struct image_list *list,
			  struct error *e)
{
	cleanup(index_free) struct index tops = { 0 };
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(free_message) Varve__Containerd__ListNamespacesReply *namespaces = NULL;
	int code = index_tops(&list->tops, &tops);

	if (code < 0)
		return error_set(e, code, "out of memory");
	code = image_list_connect(o, "default", &ch, e);
	if (code < 0)
		return code;
	code = containerd_images_namespaces(ch, &namespaces, e);
	for (size_t i = 0; code == 0 && i < namespaces->n_namespaces; i++)
		code = ask_namespace(o, namespaces->namespaces[i]->name, tops.tops, list, e);
	return code;
}

static int add_own(struct image_list *list)
{
	for (size_t i = 0; i < list->tops.count; i++) {
		const struct image_top *top = &list->tops.items[i];
		struct image_entry *entry = top->key ? NULL : add_entry(list, NULL);

		if (top->key)
			continue;
		if (!entry || add_chain(entry, top) < 0)
			return -ENOMEM;
		entry->held = top->held;
		entry->pulled_ns = top->created_ns;
		for (size_t k = 0; k < top->ref_count; k++)
			if (add_text(&entry->tags, &entry->tag_count, top->refs[k]) < 0)
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
	struct error theirs = { 0 };
	int code = image_tops_gather(o->manager, o->with_files, o->cancelled, &list.tops, e);

	if (code < 0)
		return code;
	code = ask_containerd(o, &list, &theirs);
	if (code == -ECANCELED || code == -ENOMEM)
		return error_set(e, code, "%s", theirs.text);
	if (code < 0)
		(void)snprintf(list.problem, sizeof(list.problem), "%s", theirs.text);
	if (add_own(&list) < 0 || sum(&list) < 0)
		return error_set(e, -ENOMEM, "out of memory to list the images");
	if (list.count > 0)
		qsort(list.items, list.count, sizeof(*list.items), by_name);
	*ret_list = list;
	list = (struct image_list){ 0 };
	return 0;
}
