/* SPDX-License-Identifier: Apache-2.0 */
/* What owners and containerd answer. The first byte selects: Docker's JSON, the images of a
 * namespace with the content that they refer to, or a single message. */
#include "containerd.pb-c.h"
#include "control.pb-c.h"
#include "owners/clients/containerd_catalog.h"
#include "owners/clients/docker_client.h"
#include "owners/clients/message_call.h"
#include "proto/request_check.h"
#include "tests/fuzz/fuzz_target.h"

#define ITEMS_MAX 1000

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				size_t length)
{
	const char *fault;

	if (request_check_items(type, bytes, length, ITEMS_MAX, &fault))
		return NULL;
	return protobuf_c_message_unpack(type, NULL, length, bytes);
}

static void read_docker(const uint8_t *bytes, size_t length)
{
	cleanup(docker_images_free) struct docker_images images = { 0 };
	cleanup(free_ptr) char *version = NULL;
	struct error e = { 0 };

	if (docker_client_read_images((const char *)bytes, length, &images, &e) == 0)
		for (size_t i = 0; i < images.count; i++)
			assert(images.ids[i]);
	if (docker_client_read_version((const char *)bytes, length, &version, &e) == 0)
		assert(version);
}

/* The first byte is the length of the list of images. */
static void read_catalog(const uint8_t *bytes, size_t length)
{
	size_t first = length > 0 ? bytes[0] : 0;
	cleanup(containerd_catalog_free) struct containerd_catalog catalog = { 0 };
	cleanup(free_message) ProtobufCMessage *images = NULL, *content = NULL;

	if (length < 1 + first)
		return;
	images = unpack(&varve__containerd__list_images_reply__descriptor, bytes + 1, first);
	content = unpack(&varve__containerd__list_content_reply__descriptor, bytes + 1 + first,
			 length - 1 - first);
	if (!images || !content)
		return;
	assert(containerd_catalog_join((const Varve__Containerd__ListImagesReply *)images,
				       (const Varve__Containerd__ListContentReply *)content,
				       &catalog) == 0);
	for (size_t i = 0; i < catalog.count; i++)
		assert(catalog.images[i].digest && catalog.images[i].tag_count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		&moby__buildkit__v1__disk_usage_response__descriptor,
		&moby__buildkit__v1__usage_record__descriptor,
		&moby__buildkit__v1__info_response__descriptor,
		&varve__containerd__list_leases_reply__descriptor,
		&varve__containerd__list_resources_reply__descriptor,
		&varve__containerd__list_containers_reply__descriptor,
		&varve__containerd__list_namespaces_reply__descriptor,
		&varve__containerd__get_image_reply__descriptor,
		&varve__containerd__version_reply__descriptor,
	};

	if (size == 0)
		return 0;
	if (data[0] == 'd') {
		read_docker(data + 1, size - 1);
	} else if (data[0] == 'c') {
		read_catalog(data + 1, size - 1);
	} else {
		cleanup(free_message) ProtobufCMessage *message =
			unpack(types[data[0] % ARRAY_SIZE(types)], data + 1, size - 1);

		(void)message; /* it is only to be unpacked and freed */
	}
	return 0;
}
