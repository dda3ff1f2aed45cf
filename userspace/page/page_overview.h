/* SPDX-License-Identifier: Apache-2.0 */
/* The first page: what the store has, its limits, and what came and went in the last 30 days. */
#pragma once

#include "manager/eviction/eviction.h"
#include "manager/eviction/eviction_history.h"
#include "manager/numbers/numbers.h"
#include "page/page_frame.h"

#define PAGE_DAYS 30
#define PAGE_HISTORY_MAX 50 /* of the newest events */

struct page_day {
	int64_t made_bytes, evicted_bytes;
	uint64_t made, evicted;
};

struct page_history {
	struct page_day days[PAGE_DAYS]; /* the last one is today */
	struct history_view newest[PAGE_HISTORY_MAX]; /* a ring */
	size_t count; /* that there were */
};

/* Counts one event, where they come oldest first. */
void page_history_add(struct page_history *h, const struct history_view *event, int64_t now_ns);

struct page_overview {
	const struct numbers *numbers;
	const struct eviction_policy_view *policies;
	size_t policy_count;
	const struct page_history *history;
	const char *version, *root;
	int64_t started_ns;
};

void page_overview_write(struct strbuf *out, const struct page_status *s,
			 const struct page_overview *o);
