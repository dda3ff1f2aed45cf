/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all methods do with their calls: unpack and check the request, send messages, end the call.
 * The text of an error is the manager's, or that of the errno.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "manager/records/records.h"
#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

/* The type of a method's request, and the function that answers it. Set as `handler` of a
 * grpc_method. */
struct service_handler {
	const ProtobufCMessageDescriptor *type;
	/* Must end the call. The request has the type above and lives until the function returns.
	 */
	void (*answer)(struct grpc_call *call, void *user, ProtobufCMessage *request);
};

/* The `run` of every grpc_method: unpacks and checks the request, and calls the handler, or ends
 * the call with an error: the request is of another type, or has a text that holds a NUL or is not
 * UTF-8.
 */
void service_call_run(struct grpc_call *call, void *user);
int service_call_send(struct grpc_call *call, const ProtobufCMessage *message);
void service_call_finish(struct grpc_call *call, int code, const struct error *e);
/* Ends a unary call with its reply, or with the error. */
void service_call_reply(struct grpc_call *call, int code, const ProtobufCMessage *message,
			const struct error *e);

/* The named lease, or with "" the connection's own one. `lease` is borrowed. */
struct lease_holder service_call_holder(const struct grpc_call *call, const char *lease);
