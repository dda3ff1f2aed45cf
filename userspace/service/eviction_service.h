/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about eviction: prune, explanations, policies. Translates, decides
 * nothing. */
#pragma once

#include "transport/grpc_service.h"

struct manager;
struct owners;

/* What the methods need; the user pointer of every call. */
struct eviction_service {
	struct manager *manager;
	struct owners *owners;
};

/* Ends with a NULL path. */
extern const struct grpc_method eviction_service_methods[];
