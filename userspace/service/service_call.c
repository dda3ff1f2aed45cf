/* SPDX-License-Identifier: Apache-2.0 */
#include "service/service_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/request_check.h"

/* On failure, ends the call with an error and returns NULL. */
static ProtobufCMessage *unpack(struct grpc_call *call, const ProtobufCMessageDescriptor *type)
{
	size_t length = 0;
	const uint8_t *bytes = grpc_call_request(call, &length);
	ProtobufCMessage *message;
	const char *field, *fault;
	struct error e = { 0 };

	/* Checked before unpacking, which may take much memory. */
	field = request_check(type, bytes, length, &fault);
	if (field) {
		grpc_call_finish(call, error_set(&e, -EINVAL, "%s %s", field, fault), e.text);
		return NULL;
	}
	message = protobuf_c_message_unpack(type, NULL, length, bytes);
	if (!message)
		grpc_call_finish(
			call, error_set(&e, -EINVAL, "the request is not a valid %s", type->name),
			e.text);
	return message;
}

void service_call_run(struct grpc_call *call, void *user)
{
	const struct service_handler *handler = grpc_call_method(call)->handler;
	ProtobufCMessage *request = unpack(call, handler->type);

	if (!request)
		return;
	handler->answer(call, user, request);
	protobuf_c_message_free_unpacked(request, NULL);
}

static uint8_t *pack(const ProtobufCMessage *message, size_t *ret_length)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(length + 1); /* an empty message has no bytes */

	if (bytes)
		*ret_length = protobuf_c_message_pack(message, bytes);
	return bytes;
}

int service_call_send(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t length = 0;
	cleanup(free_ptr) uint8_t *bytes = pack(message, &length);

	return bytes ? grpc_call_send(call, bytes, length) : -ENOMEM;
}

void service_call_finish(struct grpc_call *call, int code, const struct error *e)
{
	grpc_call_finish(call, code, code < 0 ? (e->text[0] ? e->text : strerror(-code)) : NULL);
}

void service_call_reply(struct grpc_call *call, int code, const ProtobufCMessage *message,
			const struct error *e)
{
	cleanup(free_ptr) uint8_t *bytes = NULL;
	size_t length = 0;

	if (code == 0 && !(bytes = pack(message, &length)))
		code = -ENOMEM;
	if (code < 0)
		service_call_finish(call, code, e);
	else
		grpc_call_reply(call, bytes, length);
}

struct lease_holder service_call_holder(const struct grpc_call *call, const char *lease)
{
	return (struct lease_holder){ .lease = lease,
				      .connection = grpc_call_peer(call)->connection };
}
