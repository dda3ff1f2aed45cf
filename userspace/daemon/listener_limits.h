/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of a gRPC socket may have at the same time; the numbers are in config.h. */
#pragma once

#include <stdbool.h>

#include "transport/grpc_listener_options.h"

const struct grpc_listener_options *listener_limits(bool read_only);
