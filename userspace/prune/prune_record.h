/* SPDX-License-Identifier: Apache-2.0 */
/* A record as scorers and the planner see it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRUNE_NO_PARENT SIZE_MAX

struct prune_record {
	const char *id; /* borrowed; the last tie-break */
	size_t parent; /* index into the same array, or PRUNE_NO_PARENT */
	int64_t created_ns;
	int64_t last_used_ns; /* 0: never */
	uint64_t usage_count;
	int64_t size_bytes, inodes; /* what its deletion frees */
	double inflation; /* for gdsf; 0 when the caller does not track it */
	/* For forecast: needs that are expected in each second, and seconds that it costs to make
	 * the record again. Together, what its absence loses. */
	double need_rate, cost_s;
	bool cheap; /* it can be made again by extracting or fetching a blob */
	bool shared; /* its size is not part of the total */
	bool evictable; /* no refs, no mount, not pinned, matched, old enough; regardless of
			   children */
};
