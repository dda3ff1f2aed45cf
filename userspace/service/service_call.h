/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the methods of every service do with their call: unpack and check the request, send
 * messages, end it. An error's text is what the manager said, or the errno's own words.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

/* The request, or NULL after the call has been ended with what is wrong with it: no such message,
 * or a text that holds a NUL or is not UTF-8. */
ProtobufCMessage *service_call_unpack(struct grpc_call *call,
				      const ProtobufCMessageDescriptor *type);
void service_call_free_request(ProtobufCMessage *request);
DEFINE_CLEANUP(ProtobufCMessage *, service_call_free_request)

int service_call_send(struct grpc_call *call, const ProtobufCMessage *message);
void service_call_finish(struct grpc_call *call, int code, const struct error *e);
/* Ends a unary call with its reply, or with the error. */
void service_call_reply(struct grpc_call *call, int code, const ProtobufCMessage *message,
			const struct error *e);

/* Declares `request` of the type, `e` and `code`, and ends the function when there is none. */
#define SERVICE_CALL_REQUEST(Type, type_descriptor)                                       \
	cleanup(service_call_free_request)                                                \
		ProtobufCMessage *unpacked = service_call_unpack(call, &type_descriptor); \
	Type *request = (Type *)unpacked;                                                 \
	struct error e = { 0 };                                                           \
	int code;                                                                         \
	if (!request)                                                                     \
	return
