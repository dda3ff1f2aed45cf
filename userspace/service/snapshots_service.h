/* SPDX-License-Identifier: Apache-2.0 */
/* containerd.services.snapshots.v1.Snapshots: varved as a proxy snapshotter. Translates protobuf,
 * decides nothing. */
#pragma once

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct manager;

/* Ends with a NULL path; their user pointer is the manager. */
extern const struct grpc_method snapshots_service_methods[];
