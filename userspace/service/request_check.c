/* SPDX-License-Identifier: Apache-2.0 */
#include "service/request_check.h"

#include <string.h>

#include "base/utf8.h"

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

/* What is wrong with a text; NULL: nothing. */
static const char *find_fault(const uint8_t *text, size_t length)
{
	size_t at = 0, size;
	uint32_t character;

	if (memchr(text, 0, length))
		return "must not contain NUL";
	while (at < length) {
		size = utf8_decode(text + at, length - at, &character);
		if (size == 0)
			return "is not valid UTF-8";
		at += size;
	}
	return NULL;
}

static const char *check_field(const ProtobufCFieldDescriptor *field, const uint8_t *bytes,
			       size_t length, const char **ret_fault)
{
	const char *fault;

	if (!field)
		return NULL; /* unknown to us */
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return request_check_text(field->descriptor, bytes, length, ret_fault);
	fault = field->type == PROTOBUF_C_TYPE_STRING ? find_fault(bytes, length) : NULL;
	if (!fault)
		return NULL;
	*ret_fault = fault;
	return field->name;
}

const char *request_check_text(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			       size_t length, const char **ret_fault)
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
				at, (size_t)size, ret_fault);
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
