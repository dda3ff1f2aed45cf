/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of varve.v1.Cache about the images of containerd and of Varve. */
#pragma once

#include <stdint.h>

#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct manager;
struct owners_settings;

struct images_service {
	struct manager *manager;
	const char *containerd; /* the path of its socket */
	int64_t patience_ns;
	const struct owners_settings *owners; /* whose containerds have images, too */
};

/* The user pointer of every call is the struct images_service. Ends with a NULL path. */
extern const struct grpc_method images_service_methods[];
