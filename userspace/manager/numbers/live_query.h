/* SPDX-License-Identifier: Apache-2.0 */
/* What a live view asks for. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define LIVE_VIEW_ROWS_MAX 1000

enum live_sort {
	LIVE_SORT_RATE, /* bytes read just now; then in the last ten minutes */
	LIVE_SORT_OPENS, /* opens just now */
	LIVE_SORT_SIZE,
	LIVE_SORT_READ, /* bytes read since the beginning */
	LIVE_SORT_LAST, /* read last */
	LIVE_SORT_USES,
	LIVE_SORT_CREATED,
	LIVE_SORT_COUNT,
};

struct live_query {
	const char *const *ids; /* these again, in this order; none: order all */
	size_t id_count;
	const char *const *filters;
	size_t filter_count;
	bool layers; /* one record for each layer */
	enum live_sort sort;
	bool reverse; /* smallest first */
	size_t skip, limit; /* together at most LIVE_VIEW_ROWS_MAX */
	const atomic_bool *cancelled; /* may be NULL */
};
