/* SPDX-License-Identifier: Apache-2.0 */
/* Where pages get what they show. */
#pragma once

#include <stdint.h>

struct manager;
struct owners;

struct page_sources {
	struct manager *manager;
	struct owners *owners;
	const char *containerd; /* the path of its socket */
	int64_t patience_ns; /* with it */
};
