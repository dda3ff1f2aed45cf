/* SPDX-License-Identifier: Apache-2.0 */
#include "service/request_check.h"

#include <string.h>

/* Reads a varint and moves on; 0 and the end for what is cut, which unpacking has refused. */
static uint64_t read_varint(const uint8_t **at, const uint8_t *end)
{
	uint64_t value = 0;

	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	*at = end;
	return 0;
}

static const char *check_field(const ProtobufCFieldDescriptor *field, const uint8_t *bytes,
			       size_t length)
{
	if (!field)
		return NULL; /* unknown to us */
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return memchr(bytes, 0, length) ? field->name : NULL;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return request_check_nul(field->descriptor, bytes, length);
	return NULL;
}

const char *request_check_nul(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			      size_t length)
{
	const uint8_t *at = bytes, *end = bytes + length;

	while (at < end) {
		uint64_t tag = read_varint(&at, end);
		const char *found = NULL;
		uint64_t size = 0;

		switch (tag & 7) {
		case 0:
			(void)read_varint(&at, end);
			break;
		case 1:
			size = 8;
			break;
		case 5:
			size = 4;
			break;
		case 2:
			size = read_varint(&at, end);
			if (size > (uint64_t)(end - at))
				return NULL;
			found = check_field(
				protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3)),
				at, (size_t)size);
			break;
		default:
			return NULL;
		}
		if (found)
			return found;
		if (size > (uint64_t)(end - at))
			return NULL;
		at += size;
	}
	return NULL;
}
