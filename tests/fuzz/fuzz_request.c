/* SPDX-License-Identifier: Apache-2.0 */
/* A request to one of the services, which the first byte selects. An accepted request has only
 * clean texts, also in the message that protobuf-c unpacks, and can be packed again. */
#include "base/utf8.h"
#include "control.pb-c.h"
#include "health.pb-c.h"
#include "proto/request_check.h"
#include "snapshots.pb-c.h"
#include "tests/fuzz/fuzz_target.h"
#include "varve.pb-c.h"

static const ProtobufCMessageDescriptor *const others[] = {
	&moby__buildkit__v1__disk_usage_request__descriptor,
	&moby__buildkit__v1__prune_request__descriptor,
	&moby__buildkit__v1__list_workers_request__descriptor,
	&grpc__health__v1__health_check_request__descriptor,
	&containerd__services__snapshots__v1__prepare_request__descriptor,
	&containerd__services__snapshots__v1__key_request__descriptor,
	&containerd__services__snapshots__v1__commit_request__descriptor,
	&containerd__services__snapshots__v1__update_request__descriptor,
	&containerd__services__snapshots__v1__list_request__descriptor,
};

static const ProtobufCMessageDescriptor *choose(size_t number)
{
	const ProtobufCServiceDescriptor *own = &varve__v1__cache__descriptor;

	number %= own->n_methods + ARRAY_SIZE(others);
	return number < own->n_methods ? own->methods[number].input
				       : others[number - own->n_methods];
}

static void check_text(const char *text)
{
	uint32_t character;
	size_t size;

	for (size_t length = strlen(text); length > 0; length -= size, text += size) {
		size = utf8_decode((const uint8_t *)text, length, &character);
		assert(size > 0);
	}
}

static void check_message(const ProtobufCMessage *message);

static void check_value(const ProtobufCFieldDescriptor *field, const void *value)
{
	if (!value)
		return;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		check_text(value);
	else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		check_message(value);
}

static void check_message(const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const char *members = (const char *)message;
		void *const *pointer = (void *const *)(members + field->offset);
		size_t count;

		if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			check_value(field, *pointer);
			continue;
		}
		count = *(const size_t *)(members + field->quantifier_offset);
		for (size_t k = 0; k < count; k++)
			check_value(field, (*(void *const *const *)pointer)[k]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *type = choose(size > 0 ? data[0] : 0);
	const uint8_t *bytes = size > 0 ? data + 1 : data;
	size_t length = size > 0 ? size - 1 : 0;
	ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, length, bytes);
	const char *fault = NULL;
	const char *field = request_check(type, bytes, length, &fault);
	cleanup(free_ptr) uint8_t *packed = NULL;

	assert(!field || fault);
	if (!message)
		return 0;
	if (!field)
		check_message(message);
	length = protobuf_c_message_get_packed_size(message);
	packed = malloc(length + 1);
	assert(packed && protobuf_c_message_pack(message, packed) == length);
	/* An accepted request stays acceptable. A refused one may become so: of a field that occurs
	 * twice only the last value is packed. */
	assert(field || !request_check(type, packed, length, &fault));
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
