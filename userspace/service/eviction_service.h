/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about eviction: prune, explanations, policies. Translates, decides
 * nothing. */
#pragma once

#include "transport/grpc_service.h"

/* Ends with a NULL path; the user pointer of every call is the manager. */
extern const struct grpc_method eviction_service_methods[];
