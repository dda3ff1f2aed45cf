/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshots_call SOCKET METHOD [FIELD=VALUE…]: calls a method of containerd's Snapshots. Prints
 * each reply as a line of JSON, as protobuf's own JSON but for times; fails with "STATUS: text".
 * labels.KEY=VALUE is a label, filters may be repeated. It costs a test far less than the gRPC of
 * tests/tools/snapshots, which shows that other clients' calls are understood.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "snapshots.pb-c.h"
#include "transport/grpc_client.h"
#include "transport/grpc_status.h"

#define SERVICE containerd__services__snapshots__v1__snapshots__descriptor
#define FIELDS_MAX 100

static const char *const status_names[] = {
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALID_ARGUMENT",
	"DEADLINE_EXCEEDED",
	"NOT_FOUND",
	"ALREADY_EXISTS",
	"PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION",
	"ABORTED",
	"OUT_OF_RANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATA_LOSS",
	"UNAUTHENTICATED",
};

_Noreturn static void fail(const char *what, const char *text)
{
	(void)fprintf(stderr, "%s: %s\n", what, text);
	exit(1);
}

static void *allocate(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		fail("snapshots_call", "out of memory");
	return p;
}

/* ---- the request ---- */

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = allocate(type->sizeof_message);

	protobuf_c_message_init(type, m);
	return m;
}

static void *member(ProtobufCMessage *m, unsigned offset)
{
	return (uint8_t *)m + offset;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessage *m, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);

	if (!field)
		fail(m->descriptor->short_name, name);
	return field;
}

/* Returns the place of one more element of a repeated field. */
static void **append(ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
	size_t *count = member(m, field->quantifier_offset);
	void ***elements = member(m, field->offset);

	if (!*count)
		*elements = allocate(FIELDS_MAX * sizeof(**elements));
	if (*count == FIELDS_MAX)
		fail(field->name, "too often");
	return &(*elements)[(*count)++];
}

static void set_text(ProtobufCMessage *m, const char *name, char *value)
{
	const ProtobufCFieldDescriptor *field = find_field(m, name);

	if (field->type != PROTOBUF_C_TYPE_STRING)
		fail(name, "not a text");
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		*append(m, field) = value;
	else
		*(char **)member(m, field->offset) = value;
}

static void set_field(ProtobufCMessage *m, char *word)
{
	char *value = strchr(word, '='), *key = strchr(word, '.');
	const ProtobufCFieldDescriptor *field;
	ProtobufCMessage *entry;

	if (!value)
		fail(word, "is not FIELD=VALUE");
	if (!key || key > value) {
		*value = '\0';
		set_text(m, word, value + 1);
		return;
	}
	*key++ = '\0';
	*value++ = '\0';
	field = find_field(m, word);
	entry = new_message(field->descriptor);
	set_text(entry, "key", key);
	set_text(entry, "value", value);
	*append(m, field) = entry;
}

/* ---- the reply ---- */

static void describe(struct json_writer *w, const char *key, const ProtobufCMessage *m);

static void describe_value(struct json_writer *w, const char *key,
			   const ProtobufCFieldDescriptor *field, const void *value)
{
	char digits[24];

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		json_put_string(w, key, *(char *const *)value);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		describe(w, key, *(ProtobufCMessage *const *)value);
		break;
	case PROTOBUF_C_TYPE_INT64:
		(void)snprintf(digits, sizeof(digits), "%lld", (long long)*(const int64_t *)value);
		json_put_string(w, key, digits);
		break;
	case PROTOBUF_C_TYPE_INT32:
		json_put_int(w, key, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		json_put_string(w, key,
				protobuf_c_enum_descriptor_get_value(field->descriptor,
								     *(const int *)value)
					->name);
		break;
	default:
		fail(field->name, "has a type that is not known here");
	}
}

static bool is_default(const ProtobufCFieldDescriptor *field, const void *value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return !**(char *const *)value;
	case PROTOBUF_C_TYPE_INT64:
		return !*(const int64_t *)value;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(void *const *)value;
	default:
		return !*(const int *)value;
	}
}

/* A map is a repeated message with a key and a value. */
static void describe_map(struct json_writer *w, const char *key, ProtobufCMessage *const *entries,
			 size_t count)
{
	json_open_object(w, key);
	for (size_t i = 0; i < count; i++)
		json_put_string(
			w, *(char **)member(entries[i], find_field(entries[i], "key")->offset),
			*(char **)member(entries[i], find_field(entries[i], "value")->offset));
	json_close_object(w);
}

static void describe_elements(struct json_writer *w, const char *key,
			      const ProtobufCFieldDescriptor *field, void *const *elements,
			      size_t count)
{
	const ProtobufCMessageDescriptor *type =
		field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;

	if (type && strstr(type->short_name, "Entry")) {
		describe_map(w, key, (ProtobufCMessage *const *)elements, count);
		return;
	}
	json_open_array(w, key);
	for (size_t i = 0; i < count; i++)
		describe_value(w, NULL, field, &elements[i]);
	json_close_array(w);
}

/* JSON's name of created_at is createdAt. */
static void write_key(const char *name, char *key, size_t size)
{
	size_t length = 0;

	for (; *name && length + 1 < size; name++) {
		bool joined = *name == '_' && name[1];

		name += joined;
		key[length++] = joined ? (char)(*name - 'a' + 'A') : *name;
	}
	key[length] = '\0';
}

/* Without fields that have their default value. */
static void describe(struct json_writer *w, const char *key, const ProtobufCMessage *m)
{
	json_open_object(w, key);
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &m->descriptor->fields[i];
		const void *value = member((ProtobufCMessage *)m, field->offset);
		size_t count = 0;
		char name[64];

		write_key(field->name, name, sizeof(name));
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			if (!is_default(field, value))
				describe_value(w, name, field, value);
			continue;
		}
		count = *(size_t *)member((ProtobufCMessage *)m, field->quantifier_offset);
		if (count)
			describe_elements(w, name, field, *(void *const *const *)value, count);
	}
	json_close_object(w);
}

static int print_reply(const uint8_t *bytes, size_t length, void *user)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	struct json_writer w = { .out = &text };
	const ProtobufCMethodDescriptor *method = user;
	ProtobufCMessage *m = protobuf_c_message_unpack(method->output, NULL, length, bytes);

	if (!m)
		fail(method->name, "the reply cannot be read");
	describe(&w, NULL, m);
	if (strbuf_failed(&text))
		fail(method->name, "out of memory");
	(void)puts(text.text);
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	cleanup(grpc_client_free) struct grpc_client *client = NULL;
	const ProtobufCMethodDescriptor *method;
	static ProtobufCMessage *request; /* never freed: it borrows the arguments */
	cleanup(free_ptr) uint8_t *packed = NULL;
	char path[128];
	struct error e = { 0 };
	int code;

	if (argc < 3)
		fail("usage", "snapshots_call SOCKET METHOD [FIELD=VALUE...]");
	method = protobuf_c_service_descriptor_get_method_by_name(&SERVICE, argv[2]);
	if (!method)
		fail(argv[2], "not a method of Snapshots");
	request = new_message(method->input);
	for (int i = 3; i < argc; i++)
		set_field(request, argv[i]);
	packed = allocate(protobuf_c_message_get_packed_size(request) + 1);
	(void)snprintf(path, sizeof(path), "/%s/%s", SERVICE.name, method->name);

	code = grpc_client_connect(argv[1], &client, &e);
	if (code == 0)
		code = grpc_client_call(client, path, packed,
					protobuf_c_message_pack(request, packed), print_reply,
					(void *)method, &e);
	if (code < 0)
		fail(status_names[grpc_status_from_errno(code)], e.text);
	return 0;
}
