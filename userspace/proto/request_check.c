/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/request_check.h"

#include <string.h>

#include "base/utf8.h"

/* Reads a varint and moves behind it. For one that is cut off, returns 0 and moves to the end:
 * unpacking refuses such a message. */
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

/* The fault of a text; NULL: it has none. */
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

/* The search for a fault, and its result. */
struct walk {
	size_t items_left; /* of all lists together */
	size_t fields_left; /* that no message has a place for, all together */
	const char *fault; /* the first fault; NULL: none so far */
};

static const char *walk(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
			struct walk *w);

/* Counts a field that takes memory besides its message's own. *places is the number of fields that
 * the message may still have once. Returns what is faulty: the field, or the message. */
static const char *count_field(const ProtobufCMessageDescriptor *type,
			       const ProtobufCFieldDescriptor *field, size_t *places,
			       struct walk *w)
{
	if (field && field->label == PROTOBUF_C_LABEL_REPEATED) {
		if (w->items_left-- > 0)
			return NULL;
		w->fault = "has too many items";
		return field->name;
	}
	if (field && *places > 0) {
		(*places)--;
		return NULL;
	}
	if (w->fields_left-- > 0)
		return NULL;
	w->fault = "has too many fields";
	return type->name;
}

/* The name of the field, or of one inside it, that is faulty. */
static const char *check_field(const ProtobufCFieldDescriptor *field, const uint8_t *bytes,
			       size_t length, struct walk *w)
{
	if (!field)
		return NULL; /* not a field of the message */
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return walk(field->descriptor, bytes, length, w);
	w->fault = field->type == PROTOBUF_C_TYPE_STRING ? find_fault(bytes, length) : NULL;
	return w->fault ? field->name : NULL;
}

static const char *walk(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
			struct walk *w)
{
	const uint8_t *at = bytes, *end = bytes + length;
	size_t places = type->n_fields;

	while (at < end) {
		uint64_t tag = read_varint(&at, end);
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
		const char *found = count_field(type, field, &places, w);
		uint64_t size = 0;

		if (found)
			return found;
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
			found = check_field(field, at, (size_t)size, w);
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

const char *request_check_items(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				size_t length, size_t items_max, const char **ret_fault)
{
	struct walk w = { .items_left = items_max, .fields_left = items_max };
	const char *field = walk(type, bytes, length, &w);

	if (field)
		*ret_fault = w.fault;
	return field;
}

const char *request_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			  size_t length, const char **ret_fault)
{
	return request_check_items(type, bytes, length, REQUEST_CHECK_ITEMS_MAX, ret_fault);
}
