/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content that an image names refers to more content by labels of containerd's garbage
 * collector, and a config refers to the snapshot of its top layer.
 */
#include "owners/clients/containerd_catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/text_list.h"
#include "base/vec.h"
#include "owners/clients/containerd_images.h"
#include "owners/clients/message_call.h"

#define REF_CONTENT "containerd.io/gc.ref.content"
#define REF_SNAPSHOT "containerd.io/gc.ref.snapshot."
#define PINNED "io.cri-containerd.pinned"
#define CONTENTS_PER_IMAGE 1000 /* what refers to more is not an image */

void containerd_catalog_free(struct containerd_catalog *c)
{
	for (size_t i = 0; i < c->count; i++) {
		text_list_free(c->images[i].tags, c->images[i].tag_count);
		text_list_free(c->images[i].tops, c->images[i].top_count);
		free(c->images[i].digest);
	}
	free(c->images);
	if (c->containers)
		protobuf_c_message_free_unpacked(&c->containers->base, NULL);
	*c = (struct containerd_catalog){ 0 };
}

/* ---- content ---- */

struct content {
	char *digest;
	char **refs; /* digests of content */
	size_t ref_count;
	char **tops; /* snapshots */
	size_t top_count;
};

struct contents {
	struct content *items;
	size_t count, capacity;
	struct hashmap *by_digest; /* once all are there */
};

static void contents_free(struct contents *all)
{
	for (size_t i = 0; i < all->count; i++) {
		text_list_free(all->items[i].refs, all->items[i].ref_count);
		text_list_free(all->items[i].tops, all->items[i].top_count);
		free(all->items[i].digest);
	}
	free(all->items);
	hashmap_free(all->by_digest);
}
DEFINE_CLEANUP_VALUE(struct contents, contents_free)

static struct content *make_content(struct contents *all, const char *digest)
{
	struct content *items =
		vec_reserve(all->items, &all->capacity, all->count + 1, sizeof(*items));
	struct content *c;

	if (!items)
		return NULL;
	all->items = items;
	c = &items[all->count];
	*c = (struct content){ .digest = strdup(digest) };
	if (!c->digest)
		return NULL;
	all->count++;
	return c;
}

/* Only content that refers to something matters. */
static int add_content(const Varve__Containerd__Info *info, void *user)
{
	struct contents *all = user;
	struct content *c = NULL;
	int code = 0;

	for (size_t i = 0; code == 0 && i < info->n_labels; i++) {
		const char *key = info->labels[i]->key, *value = info->labels[i]->value;
		bool to_snapshot = strncmp(key, REF_SNAPSHOT, strlen(REF_SNAPSHOT)) == 0;

		if (!to_snapshot && strncmp(key, REF_CONTENT, strlen(REF_CONTENT)) != 0)
			continue;
		c = c ? c : make_content(all, info->digest);
		if (!c)
			return -ENOMEM;
		code = to_snapshot ? text_list_add(&c->tops, &c->top_count, value)
				   : text_list_add(&c->refs, &c->ref_count, value);
	}
	return code;
}

static int index_contents(struct contents *all)
{
	all->by_digest = hashmap_new();
	if (!all->by_digest)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++)
		if (hashmap_insert(all->by_digest, all->items[i].digest, &all->items[i]) == -ENOMEM)
			return -ENOMEM;
	return 0;
}

/* ---- images ---- */

/* Follows the references from the image's digest, each content once. */
static int add_tops(const struct contents *all, struct catalog_image *image)
{
	cleanup(hashmap_free) struct hashmap *seen = hashmap_new();
	const char *waiting[CONTENTS_PER_IMAGE] = { image->digest };
	size_t count = 1;
	int code = seen ? 0 : -ENOMEM;

	while (code == 0 && count > 0) {
		const struct content *c = hashmap_find(all->by_digest, waiting[--count]);

		if (!c || hashmap_find(seen, c->digest))
			continue;
		code = hashmap_insert(seen, c->digest, (void *)c);
		for (size_t i = 0; code == 0 && i < c->top_count; i++)
			code = text_list_add(&image->tops, &image->top_count, c->tops[i]);
		for (size_t i = 0; i < c->ref_count && count < CONTENTS_PER_IMAGE; i++)
			waiting[count++] = c->refs[i];
	}
	return code;
}

bool containerd_catalog_is_pinned(const Varve__Containerd__Image *image)
{
	for (size_t i = 0; i < image->n_labels; i++)
		if (strcmp(image->labels[i]->key, PINNED) == 0)
			return true;
	return false;
}

static void add_facts(const Varve__Containerd__Image *from, struct catalog_image *image)
{
	const Varve__Containerd__Timestamp *at = from->updated_at ? from->updated_at
								  : from->created_at;
	bool sane = at && at->seconds >= 0 && at->seconds < INT64_MAX / NS_PER_S - 1 &&
		    at->nanos >= 0 && at->nanos < NS_PER_S;
	int64_t pulled_ns = sane ? at->seconds * NS_PER_S + at->nanos : 0;

	if (pulled_ns > image->pulled_ns)
		image->pulled_ns = pulled_ns;
	image->pinned |= containerd_catalog_is_pinned(from);
}

static int make_image(struct containerd_catalog *c, const struct contents *all, const char *digest,
		      size_t *ret_at)
{
	struct catalog_image *images =
		vec_reserve(c->images, &c->capacity, c->count + 1, sizeof(*images));

	if (!images)
		return -ENOMEM;
	c->images = images;
	*ret_at = c->count;
	images[c->count] = (struct catalog_image){ .digest = strdup(digest) };
	return images[c->count++].digest ? add_tops(all, &images[*ret_at]) : -ENOMEM;
}

/* `at_digest` has the index of each image, plus 1, by its digest. */
static int add_image(struct containerd_catalog *c, const struct contents *all,
		     struct hashmap *at_digest, const Varve__Containerd__Image *from)
{
	size_t at;
	int code = 0;

	if (!from->target)
		return 0;
	at = (size_t)hashmap_find(at_digest, from->target->digest);
	if (at == 0) {
		code = make_image(c, all, from->target->digest, &at);
		/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
		void *position = (void *)(at + 1);

		if (code == 0)
			code = hashmap_insert(at_digest, from->target->digest, position);
	} else {
		at--;
	}
	if (code == 0)
		code = text_list_add(&c->images[at].tags, &c->images[at].tag_count, from->name);
	if (code == 0)
		add_facts(from, &c->images[at]);
	return code;
}

static int join(struct containerd_catalog *c, struct contents *all,
		const Varve__Containerd__ListImagesReply *images)
{
	cleanup(hashmap_free) struct hashmap *at_digest = hashmap_new();
	int code = at_digest ? index_contents(all) : -ENOMEM;

	for (size_t i = 0; code == 0 && i < images->n_images; i++)
		code = add_image(c, all, at_digest, images->images[i]);
	return code;
}

int containerd_catalog_join(const Varve__Containerd__ListImagesReply *images,
			    const Varve__Containerd__ListContentReply *content,
			    struct containerd_catalog *ret_catalog)
{
	cleanup(containerd_catalog_free) struct containerd_catalog c = { 0 };
	cleanup(contents_free) struct contents all = { 0 };
	int code = 0;

	for (size_t i = 0; code == 0 && i < content->n_info; i++)
		code = add_content(content->info[i], &all);
	if (code == 0)
		code = join(&c, &all, images);
	if (code < 0)
		return code;
	*ret_catalog = c;
	c = (struct containerd_catalog){ 0 };
	return 0;
}

int containerd_catalog_get(struct grpc_channel *ch, struct containerd_catalog *ret_catalog,
			   struct error *e)
{
	cleanup(containerd_catalog_free) struct containerd_catalog c = { 0 };
	cleanup(free_message) Varve__Containerd__ListImagesReply *images = NULL;
	cleanup(contents_free) struct contents all = { 0 };
	int code = containerd_images_list(ch, &images, e);

	if (code < 0)
		return code;
	code = containerd_images_containers(ch, &c.containers, e);
	if (code < 0)
		return code;
	code = images->n_images ? containerd_images_content(ch, add_content, &all, e) : 0;
	if (code < 0)
		return code;
	if (join(&c, &all, images) < 0)
		return error_set(e, -ENOMEM, "out of memory for %zu images", images->n_images);
	*ret_catalog = c;
	c = (struct containerd_catalog){ 0 };
	return 0;
}
