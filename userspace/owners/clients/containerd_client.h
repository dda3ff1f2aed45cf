/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of containerd's services, on behalf of one of its clients. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "transport/grpc_channel.h"

/* For whom containerd is asked, and how. All is borrowed. */
struct containerd_access {
	const char *socket;
	const char *namespace;
	const char *lease; /* NULL: none */
	const atomic_bool *cancelled; /* may be NULL */
	int64_t patience_ns;
};

/* Every call on the channel carries the namespace and the lease. */
int containerd_client_connect(const struct containerd_access *access,
			      struct grpc_channel **ret_channel, struct error *e);

/* Sends one message of the call under way. */
int containerd_client_send(struct grpc_channel *ch, const ProtobufCMessage *message,
			   struct error *e);

/* A call with one request and one reply, which is of the type and the caller's to free. */
int containerd_client_call(struct grpc_channel *ch, const char *path,
			   const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
			   ProtobufCMessage **ret_reply, struct error *e);

/* A reply's message, to be freed; NULL: it is not of the type, and the text is in e. */
ProtobufCMessage *containerd_client_unpack(const ProtobufCMessageDescriptor *type,
					   const uint8_t *bytes, size_t length, struct error *e);
