/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about content: images, blobs, tars. Translates, decides nothing. */
#pragma once

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

/* Ends with a NULL path; the user pointer of every call is the manager. */
extern const struct grpc_method content_service_methods[];
