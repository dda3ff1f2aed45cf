/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of other programs' gRPC services with messages of protobuf. What they answer is checked
 * before it is unpacked: see proto/request_check.h. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/cleanup.h"
#include "transport/grpc_channel.h"

/* Sends one message of the call under way. */
int message_call_send(struct grpc_channel *ch, const ProtobufCMessage *message, struct error *e);

/* A call with one request and one reply, which is of the type and the caller's to free. */
int message_call_one(struct grpc_channel *ch, const char *path, const ProtobufCMessage *request,
		     const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_reply,
		     struct error *e);

/* A call with one request, whose reply is a stream: each message is borrowed by the visit, and a
 * negative return ends the call. */
int message_call_each(struct grpc_channel *ch, const char *path, const ProtobufCMessage *request,
		      const ProtobufCMessageDescriptor *type,
		      int (*each)(const ProtobufCMessage *reply, void *user, struct error *e),
		      void *user, struct error *e);

/* A reply's message, to be freed; NULL: it is not of the type, and the text is in e. */
ProtobufCMessage *message_call_unpack(const struct grpc_channel *ch,
				      const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				      size_t length, struct error *e);

/* For a message of any type. */
static inline void cleanup_free_message(void *message)
{
	ProtobufCMessage *m = *(ProtobufCMessage **)message;

	if (m)
		protobuf_c_message_free_unpacked(m, NULL);
}
