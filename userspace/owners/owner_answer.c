/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/strbuf.h"
#include "owners/clients/buildkit_client.h"
#include "owners/clients/containerd_client.h"
#include "owners/clients/containerd_images.h"
#include "owners/clients/containerd_query.h"
#include "owners/clients/docker_client.h"
#include "owners/clients/message_call.h"

/* A call, and all calls for leases, may take so many times the silence that is allowed. */
#define CALL_PATIENCE 6
#define RECORD_TYPE_IMAGE "image"

int owner_answer_connect(const struct owner_settings *o, const atomic_bool *cancelled,
			 struct grpc_channel **ret_channel, struct error *e)
{
	const struct buildkit_access access = {
		.socket = o->address,
		.peer = o->name,
		.upgrade = o->kind == OWNER_DOCKER ? "/grpc" : NULL,
		.cancelled = cancelled,
		.patience_ns = o->timeout_ns,
		.call_limit_ns = CALL_PATIENCE * o->timeout_ns,
	};

	return buildkit_client_connect(&access, ret_channel, e);
}

static struct containerd_access access_of(const struct owner_question *q, const char *namespace)
{
	const struct owner_settings *o = q->owner;

	return (struct containerd_access){
		.socket = owner_settings_containerd(o, q->containerd),
		.namespace = namespace,
		.cancelled = q->cancelled,
		.patience_ns = o->timeout_ns,
		.call_limit_ns = CALL_PATIENCE * o->timeout_ns,
	};
}

int owner_answer_connect_containerd(const struct owner_question *q, const char *namespace,
				    struct grpc_channel **ret_channel, struct error *e)
{
	const struct containerd_access access = access_of(q, namespace);

	return containerd_client_connect(&access, ret_channel, e);
}

/* ---- what there is ---- */

static int ask_builder(const struct owner_question *q, struct owner_answer *a, struct error *e)
{
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	int code = owner_answer_connect(q->owner, q->cancelled, &ch, e);

	if (code < 0)
		return code;
	code = buildkit_client_version(ch, &a->version, e);
	return code < 0 ? code : buildkit_client_usage(ch, NULL, &a->usage, e);
}

/* Docker's own version, rather than that of the BuildKit in it. */
static int ask_docker(const struct owner_question *q, struct owner_answer *a, struct error *e)
{
	const struct docker_access access = { .socket = q->owner->address,
					      .cancelled = q->cancelled,
					      .patience_ns = q->owner->timeout_ns };
	cleanup(free_ptr) char *version = NULL;
	int code = docker_client_version(&access, &version, e);

	if (code < 0)
		return code;
	free(a->version);
	a->version = take_ptr(version);
	return docker_client_images(&access, &a->docker, e);
}

static int add_namespace(struct owner_answer *a, const char *name)
{
	a->namespaces[a->namespace_count].name = strdup(name);
	return a->namespaces[a->namespace_count].name ? (a->namespace_count++, 0) : -ENOMEM;
}

static int list_namespaces(const struct owner_question *q, struct owner_answer *a, struct error *e)
{
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(free_message) Varve__Containerd__ListNamespacesReply *reply = NULL;
	int code = owner_answer_connect_containerd(q, "default", &ch, e);

	if (code < 0)
		return code;
	code = containerd_query_version(ch, &a->version, e);
	if (code < 0)
		return code;
	code = containerd_images_namespaces(ch, &reply, e);
	if (code < 0)
		return code;
	a->namespaces = calloc(reply->n_namespaces + 1, sizeof(*a->namespaces));
	for (size_t i = 0; a->namespaces && i < reply->n_namespaces; i++)
		if (owner_settings_has_namespace(q->all, q->owner, reply->namespaces[i]->name) &&
		    add_namespace(a, reply->namespaces[i]->name) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return a->namespaces ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int name_namespace(const struct owner_question *q, struct owner_answer *a, struct error *e)
{
	a->namespaces = calloc(1, sizeof(*a->namespaces));
	if (!a->namespaces || add_namespace(a, q->owner->namespace) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* Which leases are read: without images, those of the cache's records and of Docker's containers;
 * otherwise all may keep layers of images. BuildKit's leases for views keep nothing that the
 * record below them does not keep. */
struct wanted {
	struct hashmap *ids; /* NULL: all */
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), rest = strlen(end);

	return length > rest && strcmp(text + length - rest, end) == 0;
}

static bool is_wanted(const char *id, void *user)
{
	const struct wanted *w = user;

	return w->ids ? hashmap_find(w->ids, id) != NULL
		      : !ends_with(id, "-view") && !ends_with(id, "-variants");
}

static int index_wanted(const struct owner_answer *a, const struct owner_namespace *n,
			struct hashmap *ids)
{
	for (size_t i = 0; a->usage && i < a->usage->n_record; i++)
		if (hashmap_insert(ids, a->usage->record[i]->id, a->usage->record[i]) == -ENOMEM)
			return -ENOMEM;
	for (size_t i = 0; i < n->catalog.containers->n_containers; i++) {
		Varve__Containerd__Container *c = n->catalog.containers->containers[i];

		if (!c->snapshot_key[0] && hashmap_insert(ids, c->id, c) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int ask_namespace(const struct owner_question *q, struct owner_answer *a,
			 struct owner_namespace *n, struct error *e)
{
	bool images = q->owner->has & OWNER_EVICT_IMAGES;
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(hashmap_free) struct hashmap *ids = images ? NULL : hashmap_new();
	struct wanted wanted = { ids };
	const struct owner_leases_options leases = { .access = access_of(q, n->name),
						     .snapshotter = q->owner->snapshotter,
						     .limit_ns =
							     CALL_PATIENCE * q->owner->timeout_ns,
						     .wanted = is_wanted,
						     .user = &wanted };
	int code = owner_answer_connect_containerd(q, n->name, &ch, e);

	if (code < 0)
		return code;
	code = images ? containerd_catalog_get(ch, &n->catalog, e)
		      : containerd_images_containers(ch, &n->catalog.containers, e);
	if (code < 0)
		return code;
	if (!images && (!ids || index_wanted(a, n, ids) < 0))
		return error_set(e, -ENOMEM, "out of memory");
	return owner_leases_read(&leases, &n->leases, e);
}

/* ---- from the answers to records ---- */

static const struct owner_lease *find_lease(const struct owner_answer *a, const char *id)
{
	return owner_leases_find(&a->namespaces[0].leases, id);
}

/* A record's lease keeps one snapshot, or none. */
static void add_cached(struct owner_answer *a, const struct owner_settings *o, size_t i)
{
	const Moby__Buildkit__V1__UsageRecord *said = a->usage->record[i];
	const struct owner_lease *lease = find_lease(a, said->id);

	a->records[a->count++] = (struct owner_record){
		.said = said,
		.namespace = o->namespace,
		.leased = lease,
		.snapshot = lease && lease->count == 1 ? lease->snapshots[0] : NULL,
	};
}

/* A container names its snapshot. Docker's do not: their leases have the id of the container, and
 * keep the snapshot of that name. */
static const char *find_container_snapshot(const struct owner_namespace *n, const char *snapshotter,
					   const Varve__Containerd__Container *c)
{
	const struct owner_lease *lease;

	if (c->snapshot_key[0])
		return strcmp(c->snapshotter, snapshotter) == 0 ? c->snapshot_key : NULL;
	lease = owner_leases_find(&n->leases, c->id);
	for (size_t i = 0; lease && i < lease->count; i++)
		if (strcmp(lease->snapshots[i], c->id) == 0)
			return lease->snapshots[i];
	return NULL;
}

static void add_containers(struct owner_answer *a, const struct owner_settings *o,
			   const struct owner_namespace *n)
{
	for (size_t i = 0; i < n->catalog.containers->n_containers; i++) {
		const Varve__Containerd__Container *c = n->catalog.containers->containers[i];

		a->containers[a->container_count++] = (struct owner_container){
			.said = c,
			.namespace = n->name,
			.snapshot = find_container_snapshot(n, o->snapshotter, c),
		};
	}
}

static size_t count_users(const struct owner_namespace *n, const struct catalog_image *image)
{
	size_t users = 0;

	for (size_t i = 0; i < n->catalog.containers->n_containers; i++)
		for (size_t k = 0; k < image->tag_count; k++)
			users += strcmp(n->catalog.containers->containers[i]->image,
					image->tags[k]) == 0;
	return users;
}

static char *join_tags(const struct catalog_image *image)
{
	struct strbuf text = { 0 };

	for (size_t i = 0; i < image->tag_count; i++)
		strbuf_appendf(&text, "%s%s", i > 0 ? " " : "", image->tags[i]);
	return strbuf_take(&text);
}

static bool is_listed(const struct owner_answer *a, const struct owner_settings *o,
		      const struct catalog_image *image)
{
	for (size_t i = 0; i < a->docker.count; i++)
		if (strcmp(a->docker.ids[i], image->digest) == 0)
			return true;
	return o->kind != OWNER_DOCKER;
}

static int add_image(struct owner_answer *a, const struct owner_settings *o,
		     const struct owner_namespace *n, const struct catalog_image *image)
{
	size_t at = a->image_count++;
	Moby__Buildkit__V1__UsageRecord *said = &a->images[at];
	struct strbuf id = { 0 };

	strbuf_appendf(&id, "%s/%s", n->name, image->tags[0]);
	a->image_ids[at] = strbuf_take(&id);
	a->image_tags[at] = join_tags(image);
	if (!a->image_ids[at] || !a->image_tags[at])
		return -ENOMEM;
	moby__buildkit__v1__usage_record__init(said);
	said->id = a->image_ids[at];
	said->description = a->image_tags[at];
	said->record_type = (char *)RECORD_TYPE_IMAGE;
	a->records[a->count] = (struct owner_record){ .said = said,
						      .image = image,
						      .namespace = n->name,
						      .containers = count_users(n, image),
						      .unlisted = !is_listed(a, o, image),
						      .leased = true };
	said->in_use = a->records[a->count++].containers > 0;
	return 0;
}

static int make_room(struct owner_answer *a)
{
	size_t images = 0, containers = 0;

	for (size_t i = 0; i < a->namespace_count; i++) {
		images += a->namespaces[i].catalog.count;
		containers += a->namespaces[i].catalog.containers->n_containers;
	}
	a->records = calloc((a->usage ? a->usage->n_record : 0) + images + 1, sizeof(*a->records));
	a->containers = calloc(containers + 1, sizeof(*a->containers));
	a->images = calloc(images + 1, sizeof(*a->images));
	a->image_ids = calloc(images + 1, sizeof(*a->image_ids));
	a->image_tags = calloc(images + 1, sizeof(*a->image_tags));
	return a->records && a->containers && a->images && a->image_ids && a->image_tags ? 0
											 : -ENOMEM;
}

static int make_records(struct owner_answer *a, const struct owner_settings *o)
{
	int code = make_room(a);

	for (size_t i = 0; code == 0 && a->usage && i < a->usage->n_record; i++)
		add_cached(a, o, i);
	for (size_t i = 0; code == 0 && i < a->namespace_count; i++) {
		const struct owner_namespace *n = &a->namespaces[i];

		add_containers(a, o, n);
		for (size_t k = 0; code == 0 && k < n->catalog.count; k++)
			code = add_image(a, o, n, &n->catalog.images[k]);
	}
	return code;
}

int owner_answer_get(const struct owner_question *q, struct owner_answer *ret_answer,
		     struct error *e)
{
	cleanup(owner_answer_free) struct owner_answer a = { 0 };
	bool builder = q->owner->has & OWNER_EVICT_CACHE;
	int code = builder ? ask_builder(q, &a, e) : list_namespaces(q, &a, e);

	if (code == 0 && q->owner->kind == OWNER_DOCKER)
		code = ask_docker(q, &a, e);

	if (code == 0 && builder)
		code = name_namespace(q, &a, e);
	for (size_t i = 0; code == 0 && i < a.namespace_count; i++)
		code = ask_namespace(q, &a, &a.namespaces[i], e);
	if (code < 0)
		return code;
	if (make_records(&a, q->owner) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_answer = a;
	a = (struct owner_answer){ 0 };
	return 0;
}

void owner_answer_free(struct owner_answer *a)
{
	free(a->records);
	free(a->containers);
	free(a->version);
	if (a->usage)
		protobuf_c_message_free_unpacked(&a->usage->base, NULL);
	for (size_t i = 0; i < a->image_count; i++) {
		free(a->image_ids[i]);
		free(a->image_tags[i]);
	}
	free(a->images);
	free(a->image_ids);
	free(a->image_tags);
	for (size_t i = 0; i < a->namespace_count; i++) {
		free(a->namespaces[i].name);
		containerd_catalog_free(&a->namespaces[i].catalog);
		owner_leases_free(&a->namespaces[i].leases);
	}
	free(a->namespaces);
	docker_images_free(&a->docker);
	*a = (struct owner_answer){ 0 };
}
