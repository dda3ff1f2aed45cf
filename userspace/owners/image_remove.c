/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/image_remove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owners/clients/containerd_catalog.h"
#include "owners/clients/containerd_images.h"
#include "owners/clients/docker_client.h"
#include "owners/clients/message_call.h"

struct image_remover {
	const struct owner_question *q;
	char *namespace; /* that the channel speaks for */
	struct grpc_channel *ch;
};

int image_remover_new(const struct owner_question *q, struct image_remover **ret_remover,
		      struct error *e)
{
	struct image_remover *x = calloc(1, sizeof(*x));

	if (!x)
		return error_set(e, -ENOMEM, "out of memory");
	x->q = q;
	*ret_remover = x;
	return 0;
}

void image_remover_free(struct image_remover *x)
{
	if (!x)
		return;
	grpc_channel_free(x->ch);
	free(x->namespace);
	free(x);
}

static int speak_for(struct image_remover *x, const char *namespace, struct error *e)
{
	if (x->ch && strcmp(x->namespace, namespace) == 0)
		return 0;
	grpc_channel_free(take_ptr(x->ch));
	free(x->namespace);
	x->namespace = strdup(namespace);
	if (!x->namespace)
		return error_set(e, -ENOMEM, "out of memory");
	return owner_answer_connect_containerd(x->q, namespace, &x->ch, e);
}

static bool uses(const Varve__Containerd__Container *c, const struct owner_step *s)
{
	for (size_t i = 0; i < s->tag_count; i++)
		if (strcmp(c->image, s->tags[i]) == 0)
			return true;
	return false;
}

/* A container that was made since the plan. */
static int find_user(struct image_remover *x, const struct owner_step *s, const char **ret_refused,
		     struct error *e)
{
	cleanup(free_message) Varve__Containerd__ListContainersReply *reply = NULL;
	int code = containerd_images_containers(x->ch, &reply, e);

	for (size_t i = 0; code == 0 && i < reply->n_containers; i++)
		if (uses(reply->containers[i], s))
			*ret_refused = "a container uses it";
	return code;
}

/* What an image's name means now. */
enum meaning { MEANS_NOTHING, MEANS_THIS, MEANS_THIS_PINNED, MEANS_ANOTHER };

static int find_meaning(struct image_remover *x, const struct owner_step *s, const char *name,
			enum meaning *ret_meaning, struct error *e)
{
	cleanup(free_message) Varve__Containerd__GetImageReply *reply = NULL;
	const Varve__Containerd__Image *image;
	int code = containerd_images_get(x->ch, name, &reply, e);

	*ret_meaning = MEANS_NOTHING;
	if (code < 0)
		return code == -ENOENT ? 0 : code;
	image = reply->image;
	if (!image || !image->target)
		return 0;
	*ret_meaning = strcmp(image->target->digest, s->digest) != 0 ? MEANS_ANOTHER
		       : containerd_catalog_is_pinned(image)	     ? MEANS_THIS_PINNED
								     : MEANS_THIS;
	return 0;
}

static int look_at_names(struct image_remover *x, const struct owner_step *s,
			 const char **ret_refused, struct error *e)
{
	int code = 0;

	for (size_t i = 0; code == 0 && !*ret_refused && i < s->tag_count; i++) {
		enum meaning meaning;

		code = find_meaning(x, s, s->tags[i], &meaning, e);
		if (code == 0 && meaning == MEANS_ANOTHER)
			*ret_refused = "one of its names is that of another image now";
		else if (code == 0 && meaning == MEANS_THIS_PINNED)
			*ret_refused = "it is pinned by Kubernetes";
	}
	return code;
}

/* The last name goes with a collection of what it kept. */
static int remove_name(struct image_remover *x, const struct owner_step *s, size_t i,
		       const char **ret_refused, struct error *e)
{
	const struct owner_settings *o = x->q->owner;
	int code;

	if (o->kind == OWNER_DOCKER) {
		const struct docker_access access = { .socket = o->address,
						      .cancelled = x->q->cancelled,
						      .patience_ns = o->timeout_ns };

		code = docker_client_remove_image(&access, s->tags[i], e);
	} else {
		code = containerd_images_delete(x->ch, s->tags[i], i + 1 == s->tag_count, e);
	}
	if (code == -EBUSY)
		*ret_refused = "the owner uses it";
	return code == -ENOENT || code == -EBUSY ? 0 : code; /* the owner was faster */
}

int image_remover_remove(struct image_remover *x, const struct owner_step *s,
			 const char **ret_refused, struct error *e)
{
	int code = speak_for(x, s->namespace, e);

	*ret_refused = NULL;
	if (code == 0)
		code = find_user(x, s, ret_refused, e);
	if (code == 0 && !*ret_refused)
		code = look_at_names(x, s, ret_refused, e);
	for (size_t i = 0; code == 0 && !*ret_refused && i < s->tag_count; i++)
		code = remove_name(x, s, i, ret_refused, e);
	return code;
}

int image_remover_is_listed(struct image_remover *x, const struct owner_step *s, struct error *e)
{
	enum meaning meaning = MEANS_NOTHING;
	int code = speak_for(x, s->namespace, e);

	for (size_t i = 0; code == 0 && i < s->tag_count; i++) {
		code = find_meaning(x, s, s->tags[i], &meaning, e);
		if (meaning == MEANS_THIS || meaning == MEANS_THIS_PINNED)
			return 1;
	}
	return code;
}
