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
	/* For forecast: needs that are expected in each second, and seconds that it takes to make
	 * the record again (0: not known). Together with its size, what its absence loses. */
	double need_rate, seconds;
	/* For forecast: it is evicted after all records that are not kept longer, whatever is lost;
	 * but the records above it go before it. */
	bool kept_longer;
	bool cheap; /* it can be made again by extracting or fetching a blob */
	bool shared; /* its size is not part of the total */
	bool evictable; /* no refs, no mount, not pinned, matched, old enough; regardless of
			   children */
};
