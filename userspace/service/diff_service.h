/* SPDX-License-Identifier: Apache-2.0 */
/* containerd.services.diff.v1.Diff: varved as a proxy differ. Translates protobuf, and brings blobs
 * from and to containerd; decides nothing. */
#pragma once

#include <stdint.h>

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct manager;

/* What the methods need; the user pointer of every call. */
struct diff_service {
	struct manager *manager;
	const char *containerd; /* the path of its socket */
	int64_t patience_ns; /* how long containerd may be silent */
};

/* Ends with a NULL path. */
extern const struct grpc_method diff_service_methods[];
