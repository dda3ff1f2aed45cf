/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about owners, and prunes through them. */
#pragma once

#include "owners/owners.h"
#include "transport/grpc_call.h"
#include "transport/grpc_service.h"
#include "varve.pb-c.h"

/* The user pointer of every call is the struct owners. Ends with a NULL path. */
extern const struct grpc_method owners_service_methods[];

/* The names that owners have for a record, for a message that frees them with itself, or for
 * owners_service_free_names(). -ENOMEM: then
 * there are none. */
int owners_service_names(struct owners *owners, const char *record,
			 Varve__V1__OwnerName ***ret_names, size_t *ret_count);

void owners_service_free_names(Varve__V1__OwnerName **names, size_t count);

/* A prune for which an owner is asked, or a plan of one: sends its events, and returns the summary.
 */
int owners_service_prune(struct grpc_call *call, struct owners *owners, const char *owner,
			 const struct eviction_options *options,
			 struct eviction_summary *ret_summary, struct error *e);
