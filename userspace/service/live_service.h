/* SPDX-License-Identifier: Apache-2.0 */
/* What live views show. The user pointer of its method is the manager. */
#pragma once

#include "transport/grpc_service.h"

/* Ends with a NULL path. */
extern const struct grpc_method live_service_methods[];
