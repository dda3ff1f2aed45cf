/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about owners, and prunes through them. */
#pragma once

#include "owners/owners.h"
#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

/* The user pointer of every call is the struct owners. Ends with a NULL path. */
extern const struct grpc_method owners_service_methods[];

/* A prune for which an owner is asked, or a plan of one: sends its events, and returns the summary.
 */
int owners_service_prune(struct grpc_call *call, struct owners *owners, const char *owner,
			 const struct eviction_options *options,
			 struct eviction_summary *ret_summary, struct error *e);
