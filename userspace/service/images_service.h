/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about the images of containerd and of Varve. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct manager;

struct images_service {
	struct manager *manager;
	const char *containerd; /* the path of its socket */
	int64_t patience_ns;
	bool may_remove; /* containerd may be asked to remove images */
};

/* The user pointer of every call is the struct images_service. Ends with a NULL path. */
extern const struct grpc_method images_service_methods[];
