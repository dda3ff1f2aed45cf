/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_keeping.h"

static struct prune_limits limits_of(const struct prune_keeping *k)
{
	return (struct prune_limits){ .min_free = k->min_free };
}

bool prune_keeping_may_keep(const struct prune_keeping *k, const struct prune_disk *disk,
			    int64_t layer_bytes)
{
	const struct prune_limits limits = limits_of(k);
	int64_t max_used = prune_space_bytes(&k->max_used, disk);

	return max_used > 0 && layer_bytes <= max_used && !prune_limits_are_exceeded(&limits, disk);
}

int64_t prune_keeping_excess(const struct prune_keeping *k, const struct prune_disk *disk,
			     int64_t kept_bytes)
{
	const struct prune_limits limits = limits_of(k);
	int64_t excess = kept_bytes - prune_space_bytes(&k->max_used, disk);
	int64_t missing = prune_space_bytes(&k->min_free, disk) - disk->free_bytes;

	if (missing > excess)
		excess = missing;
	/* A layer has some of the inodes that are missing, but it is not known which one. */
	if (excess <= 0 && prune_limits_are_exceeded(&limits, disk))
		excess = kept_bytes;
	if (excess < 0)
		return 0;
	return excess < kept_bytes ? excess : kept_bytes;
}
