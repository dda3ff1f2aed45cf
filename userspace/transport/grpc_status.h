/* SPDX-License-Identifier: Apache-2.0 */
/* The only table between errno and gRPC status (containerd's errdefs map onto the same rows). */
#pragma once

#define GRPC_STATUS_CANCELLED 1

int grpc_status_from_errno(int code); /* 0 or negative errno → 0..16; 2 for an unlisted one */
int grpc_status_to_errno(int status); /* 0..16 → 0 or a negative errno; -EIO for any other */
