/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moby.buildkit.v1.Control: what buildctl and buildx ask about a cache. Whatever would build is not
 * among the methods: a builder uses Varve as its snapshotter.
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
