/* SPDX-License-Identifier: Apache-2.0 */
#include "service/images_service.h"

#include <errno.h>
#include <stdlib.h>

#include "owners/image_list.h"
#include "owners/image_prune.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

/* The texts are the entry's. */
static void fill_image(const struct image_entry *entry, Varve__V1__Image *image)
{
	varve__v1__image__init(image);
	if (entry->namespace)
		image->namespace_ = entry->namespace;
	if (entry->digest)
		image->digest = entry->digest;
	image->n_tags = entry->tag_count;
	image->tags = entry->tags;
	image->record = (char *)entry->id;
	image->layers = entry->layer_count;
	image->size = entry->size_bytes;
	image->shared_size = entry->shared_bytes;
	image->n_containers = entry->container_count;
	image->containers = entry->containers;
	image->pinned = entry->pinned;
	image->held = entry->held;
	image->pulled_ns = entry->pulled_ns;
	image->last_container_ns = entry->last_container_ns;
	image->last_read_ns = entry->last_read_ns;
	image->file_bytes = entry->file_bytes;
	image->read_bytes = entry->read_bytes;
}

static struct image_list_options options_of(const struct images_service *s, struct grpc_call *call)
{
	return (struct image_list_options){ .manager = s->manager,
					    .containerd = s->containerd,
					    .owners = s->owners,
					    .patience_ns = s->patience_ns,
					    .cancelled = grpc_call_cancel_flag(call) };
}

static int reply_images(struct grpc_call *call, const struct image_list *list, struct error *e)
{
	cleanup(free_ptr) Varve__V1__Image *images = calloc(list->count + 1, sizeof(*images));
	cleanup(free_ptr) Varve__V1__Image **pointers = calloc(list->count + 1, sizeof(*pointers));
	Varve__V1__ImagesReply reply = VARVE__V1__IMAGES_REPLY__INIT;

	if (!images || !pointers)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->count; i++) {
		fill_image(&list->items[i], &images[i]);
		pointers[i] = &images[i];
	}
	reply.n_images = list->count;
	reply.images = pointers;
	reply.problem = (char *)list->problem;
	service_call_reply(call, 0, &reply.base, e);
	return 0;
}

static void run_images(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const Varve__V1__ImagesRequest *request = (Varve__V1__ImagesRequest *)message;
	struct image_list_options options = options_of(user, call);
	cleanup(image_list_free) struct image_list list = { 0 };
	struct error e = { 0 };
	int code;

	options.with_files = request->with_files;
	code = image_list_get(&options, &list, &e);
	if (code == 0)
		code = reply_images(call, &list, &e);
	if (code < 0)
		service_call_finish(call, code, &e);
}

static int send_pruned(const struct image_entry *entry, const char *refused, void *user)
{
	Varve__V1__PrunedImage pruned = VARVE__V1__PRUNED_IMAGE__INIT;
	Varve__V1__Image image;

	fill_image(entry, &image);
	pruned.image = &image;
	if (refused)
		pruned.refused = (char *)refused;
	return service_call_send(user, &pruned.base);
}

static void run_prune(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const Varve__V1__PruneImagesRequest *request = (Varve__V1__PruneImagesRequest *)message;
	const struct images_service *s = user;
	const struct image_prune_options options = { .list = options_of(s, call),
						     .unread_for_ns = request->unread_for_ns,
						     .dry_run = request->dry_run };
	struct error e = { 0 };
	int code = request->unread_for_ns > 0
			   ? 0
			   : error_set(&e, -EINVAL, "the time without reads must be longer than 0");

	if (code == 0)
		code = image_prune_run(&options, send_pruned, call, &e);
	service_call_finish(call, code, &e);
}

const struct grpc_method images_service_methods[] = {
	{ "/varve.v1.Cache/Images", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__images_request__descriptor, run_images } },
	{ "/varve.v1.Cache/PruneImages", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__prune_images_request__descriptor,
					   run_prune } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
