/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/containerd_client.h"

#include <errno.h>
#include <stdlib.h>

int containerd_client_connect(const struct containerd_access *access,
			      struct grpc_channel **ret_channel, struct error *e)
{
	struct grpc_channel_options options = {
		.socket = access->socket,
		.peer = "containerd",
		.headers = { { "containerd-namespace", access->namespace },
			     { "containerd-lease", access->lease } },
		.header_count = access->lease ? 2 : 1,
		.cancelled = access->cancelled,
		.patience_ns = access->patience_ns,
	};

	return grpc_channel_open(&options, ret_channel, e);
}

int containerd_client_send(struct grpc_channel *ch, const ProtobufCMessage *message,
			   struct error *e)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	cleanup(free_ptr) uint8_t *bytes = malloc(length + 1); /* an empty message has none */

	if (!bytes)
		return error_set(e, -ENOMEM, "out of memory");
	(void)protobuf_c_message_pack(message, bytes); /* the length is known */
	return grpc_channel_send(ch, bytes, length, e);
}

ProtobufCMessage *containerd_client_unpack(const ProtobufCMessageDescriptor *type,
					   const uint8_t *bytes, size_t length, struct error *e)
{
	ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, length, bytes);

	if (!message)
		error_set(e, -EPROTO, "containerd's answer is not a valid %s", type->name);
	return message;
}

/* The only message of a reply. */
struct single {
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
		return error_set(e, -EPROTO, "containerd's answer has more than one %s",
				 s->type->name);
	s->message = containerd_client_unpack(s->type, bytes, length, e);
	return s->message ? 0 : e->code;
}

int containerd_client_call(struct grpc_channel *ch, const char *path,
			   const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
			   ProtobufCMessage **ret_reply, struct error *e)
{
	cleanup(single) struct single reply = { .type = type };
	int code = grpc_channel_begin(ch, path, take_single, &reply, e);

	if (code < 0)
		return code;
	code = containerd_client_send(ch, request, e);
	if (code < 0)
		return code;
	code = grpc_channel_finish(ch, e);
	if (code < 0)
		return code;
	if (!reply.message)
		return error_set(e, -EPROTO, "containerd's answer has no %s", type->name);
	*ret_reply = take_ptr(reply.message);
	return 0;
}
