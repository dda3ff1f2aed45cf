/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moby.buildkit.v1.Control, as far as buildctl and buildx use it to manage a cache. Methods that
 * build are missing: a builder uses Varve as its snapshotter.
 */
#pragma once

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct manager;

/* What the methods need; the user pointer of every call. */
struct control_service {
	struct manager *manager;
};

/* Ends with a NULL path. */
extern const struct grpc_method control_service_methods[];
