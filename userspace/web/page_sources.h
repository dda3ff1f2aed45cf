/* SPDX-License-Identifier: Apache-2.0 */
/* Where pages get what they show. */
#pragma once

#include <stdint.h>

struct manager;
struct owners;
struct owners_settings;

struct page_sources {
	struct manager *manager;
	struct owners *owners;
	const char *containerd; /* the path of its socket */
	const struct owners_settings *owners_settings; /* whose containerds have images, too */
	int64_t patience_ns; /* with a containerd */
};
