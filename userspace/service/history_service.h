/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about the history. Their user pointer is the manager. */
#pragma once

#include "transport/grpc_service.h"

/* Ends with a NULL path. */
extern const struct grpc_method history_service_methods[];
