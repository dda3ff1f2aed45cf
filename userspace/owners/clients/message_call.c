/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/message_call.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/request_check.h"

/* Of one answer: 100 000 records with a few parents each. */
#define ITEMS_MAX 500000

int message_call_send(struct grpc_channel *ch, const ProtobufCMessage *message, struct error *e)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	cleanup(free_ptr) uint8_t *bytes = malloc(length + 1); /* an empty message has none */

	if (!bytes)
		return error_set(e, -ENOMEM, "out of memory");
	(void)protobuf_c_message_pack(message, bytes); /* the length is known */
	return grpc_channel_send(ch, bytes, length, e);
}

ProtobufCMessage *message_call_unpack(const struct grpc_channel *ch,
				      const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				      size_t length, struct error *e)
{
	const char *fault, *field = request_check_items(type, bytes, length, ITEMS_MAX, &fault);
	ProtobufCMessage *message;

	if (field) {
		error_set(e, -EPROTO, "the answer of %s is invalid: %s %s", grpc_channel_peer(ch),
			  field, fault);
		return NULL;
	}
	message = protobuf_c_message_unpack(type, NULL, length, bytes);
	if (!message)
		error_set(e, -EPROTO, "the answer of %s is not a valid %s", grpc_channel_peer(ch),
			  type->name);
	return message;
}

/* The only message of a reply. */
struct single {
	const struct grpc_channel *ch;
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *message;
};

static void cleanup_single(struct single *s)
{
	if (s->message)
		protobuf_c_message_free_unpacked(s->message, NULL);
}

static int take_single(const uint8_t *bytes, size_t length, void *user, struct error *e)
{
	struct single *s = user;

	if (s->message)
		return error_set(e, -EPROTO, "the answer of %s has more than one %s",
				 grpc_channel_peer(s->ch), s->type->name);
	s->message = message_call_unpack(s->ch, s->type, bytes, length, e);
	return s->message ? 0 : e->code;
}

static int exchange(struct grpc_channel *ch, const char *path, const ProtobufCMessage *request,
		    grpc_channel_reply take, void *user, struct error *e)
{
	int code = grpc_channel_begin(ch, path, take, user, e);

	if (code < 0)
		return code;
	code = message_call_send(ch, request, e);
	return code < 0 ? code : grpc_channel_finish(ch, e);
}

int message_call_one(struct grpc_channel *ch, const char *path, const ProtobufCMessage *request,
		     const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_reply,
		     struct error *e)
{
	cleanup(single) struct single reply = { .ch = ch, .type = type };
	int code = exchange(ch, path, request, take_single, &reply, e);

	if (code < 0)
		return code;
	if (!reply.message)
		return error_set(e, -EPROTO, "the answer of %s has no %s", grpc_channel_peer(ch),
				 type->name);
	*ret_reply = take_ptr(reply.message);
	return 0;
}

/* The messages of a reply, one after the other. */
struct stream {
	const struct grpc_channel *ch;
	const ProtobufCMessageDescriptor *type;
	int (*each)(const ProtobufCMessage *reply, void *user, struct error *e);
	void *user;
};

static int take_next(const uint8_t *bytes, size_t length, void *user, struct error *e)
{
	const struct stream *s = user;
	cleanup(free_message)
		ProtobufCMessage *message = message_call_unpack(s->ch, s->type, bytes, length, e);

	return message ? s->each(message, s->user, e) : e->code;
}

int message_call_each(struct grpc_channel *ch, const char *path, const ProtobufCMessage *request,
		      const ProtobufCMessageDescriptor *type,
		      int (*each)(const ProtobufCMessage *reply, void *user, struct error *e),
		      void *user, struct error *e)
{
	struct stream s = { .ch = ch, .type = type, .each = each, .user = user };

	return exchange(ch, path, request, take_next, &s, e);
}
