/* SPDX-License-Identifier: Apache-2.0 */
/* The newest events, and what of the evictions was regretted. */
#pragma once

#include "manager/eviction/eviction_history.h"
#include "manager/state/event_ring.h"
#include "page/page_frame.h"

#define PAGE_EVENTS 500

/* Of the agent's events, oldest first, shown from the newest one; `record`: only its, or "". */
void page_events_write(struct strbuf *out, const struct page_status *s,
		       const struct ring_event *events, size_t count, const char *record);
void page_regrets_write(struct strbuf *out, const struct page_status *s,
			const struct history_regret *regrets, size_t count, int64_t since_ns);
