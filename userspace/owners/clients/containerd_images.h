/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of containerd about images, one call each. A channel speaks for one namespace; the
 * replies are the caller's to free with protobuf_c_message_free_unpacked(). */
#pragma once

#include "containerd.pb-c.h"
#include "transport/grpc_channel.h"

int containerd_images_namespaces(struct grpc_channel *ch,
				 Varve__Containerd__ListNamespacesReply **ret_reply,
				 struct error *e);
int containerd_images_list(struct grpc_channel *ch, Varve__Containerd__ListImagesReply **ret_reply,
			   struct error *e);
/* -ENOENT: there is no image of this name. */
int containerd_images_get(struct grpc_channel *ch, const char *name,
			  Varve__Containerd__GetImageReply **ret_reply, struct error *e);
int containerd_images_containers(struct grpc_channel *ch,
				 Varve__Containerd__ListContainersReply **ret_reply,
				 struct error *e);
/* Calls each() for all content, borrowed; a negative return ends it. */
int containerd_images_content(struct grpc_channel *ch,
			      int (*each)(const Varve__Containerd__Info *info, void *user),
			      void *user, struct error *e);
/* Returns when containerd has collected what only this name kept, if `sync`. */
int containerd_images_delete(struct grpc_channel *ch, const char *name, bool sync, struct error *e);
