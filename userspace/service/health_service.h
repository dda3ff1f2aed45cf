/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health. The answer is always SERVING, because a server that does not serve does
 * not answer. */
#pragma once

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

/* What the methods need; the user pointer of every call. */
struct health_service {
	const struct grpc_service *services; /* those of the server, this one among them */
};

/* Ends with a NULL path. */
extern const struct grpc_method health_service_methods[];
