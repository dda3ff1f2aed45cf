/* SPDX-License-Identifier: Apache-2.0 */
/* varve.v1.Cache: the agent's own interface. Translates protobuf, decides nothing. */
#pragma once

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct manager;
struct owners;

/* What the methods need; the user pointer of every call. */
struct native_service {
	struct manager *manager;
	struct owners *owners;
	const char *socket; /* for Info */
};

/* Ends with a NULL path. */
extern const struct grpc_method native_service_methods[];
