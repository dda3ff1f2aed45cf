// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_backend.h"

static const char *const backend_names[USAGE_BACKEND_COUNT] = {
	[USAGE_BACKEND_NONE] = "none",
	[USAGE_BACKEND_SYSCALL] = "syscall",
	[USAGE_BACKEND_OVERLAY] = "overlay",
};

const char *usage_backend_name(enum usage_backend backend)
{
	return backend_names[backend];
}
