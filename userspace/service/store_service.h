/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about the agent and its store as a whole: Info, Doctor, Fsck,
 * Backup. */
#pragma once

#include "transport/grpc_service.h"

/* Their user is a struct native_service. */
extern const struct grpc_method store_service_methods[];
