/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/containerd_images.h"

#include <string.h>

#include "owners/clients/message_call.h"

#define CONTAINERD "/containerd.services."

int containerd_images_namespaces(struct grpc_channel *ch,
				 Varve__Containerd__ListNamespacesReply **ret_reply,
				 struct error *e)
{
	Varve__Containerd__ListNamespacesRequest request =
		VARVE__CONTAINERD__LIST_NAMESPACES_REQUEST__INIT;

	return message_call_one(ch, CONTAINERD "namespaces.v1.Namespaces/List", &request.base,
				&varve__containerd__list_namespaces_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

int containerd_images_list(struct grpc_channel *ch, Varve__Containerd__ListImagesReply **ret_reply,
			   struct error *e)
{
	Varve__Containerd__ListImagesRequest request = VARVE__CONTAINERD__LIST_IMAGES_REQUEST__INIT;

	return message_call_one(ch, CONTAINERD "images.v1.Images/List", &request.base,
				&varve__containerd__list_images_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

int containerd_images_get(struct grpc_channel *ch, const char *name,
			  Varve__Containerd__GetImageReply **ret_reply, struct error *e)
{
	Varve__Containerd__GetImageRequest request = VARVE__CONTAINERD__GET_IMAGE_REQUEST__INIT;

	request.name = (char *)name;
	return message_call_one(ch, CONTAINERD "images.v1.Images/Get", &request.base,
				&varve__containerd__get_image_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

int containerd_images_containers(struct grpc_channel *ch,
				 Varve__Containerd__ListContainersReply **ret_reply,
				 struct error *e)
{
	Varve__Containerd__ListContainersRequest request =
		VARVE__CONTAINERD__LIST_CONTAINERS_REQUEST__INIT;

	return message_call_one(ch, CONTAINERD "containers.v1.Containers/List", &request.base,
				&varve__containerd__list_containers_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

struct content_visit {
	int (*each)(const Varve__Containerd__Info *info, void *user);
	void *user;
};

static int visit_batch(const ProtobufCMessage *message, void *user, struct error *e)
{
	const Varve__Containerd__ListContentReply *batch =
		(const Varve__Containerd__ListContentReply *)message;
	const struct content_visit *visit = user;

	for (size_t i = 0; i < batch->n_info; i++) {
		int code = visit->each(batch->info[i], visit->user);

		if (code < 0)
			return error_set(e, code, "the content of containerd: %s", strerror(-code));
	}
	return 0;
}

int containerd_images_content(struct grpc_channel *ch,
			      int (*each)(const Varve__Containerd__Info *info, void *user),
			      void *user, struct error *e)
{
	Varve__Containerd__ListContentRequest request =
		VARVE__CONTAINERD__LIST_CONTENT_REQUEST__INIT;
	struct content_visit visit = { .each = each, .user = user };

	return message_call_each(ch, CONTAINERD "content.v1.Content/List", &request.base,
				 &varve__containerd__list_content_reply__descriptor, visit_batch,
				 &visit, e);
}

int containerd_images_delete(struct grpc_channel *ch, const char *name, bool sync, struct error *e)
{
	Varve__Containerd__DeleteImageRequest request =
		VARVE__CONTAINERD__DELETE_IMAGE_REQUEST__INIT;
	cleanup(free_message) ProtobufCMessage *reply = NULL;

	request.name = (char *)name;
	request.sync = sync;
	return message_call_one(ch, CONTAINERD "images.v1.Images/Delete", &request.base,
				&varve__containerd__empty__descriptor, &reply, e);
}
