/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: how much of the layers that containerd has removed stays as a cache. */
#pragma once

#include "prune/prune_policy.h"

struct prune_keeping {
	struct prune_space max_used; /* by all of them; 0: nothing is kept */
	struct prune_space min_free; /* of the file system; they go while less is; 0: no limit */
};

#define PRUNE_KEEPING_DEFAULTS                                             \
	{                                                                  \
		.max_used = { .share = 0.1 }, .min_free = {.share = 0.15 } \
	}

/* Whether a layer of this size may become one of them. */
bool prune_keeping_may_keep(const struct prune_keeping *k, const struct prune_disk *disk,
			    int64_t layer_bytes);
/* How many bytes of those that are kept are to be freed; 0: none. */
int64_t prune_keeping_excess(const struct prune_keeping *k, const struct prune_disk *disk,
			     int64_t kept_bytes);
