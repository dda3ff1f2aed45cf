/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, and what each would evict now. */
#pragma once

#include "manager/eviction/eviction.h"
#include "page/page_frame.h"

#define PAGE_STEPS 100 /* of a policy */

/* What one policy would do. */
struct page_plan {
	struct page_step {
		char id[RECORD_ID_LENGTH + 1];
		char *description, *reason;
		int64_t size_bytes, last_used_ns;
	} steps[PAGE_STEPS];
	size_t count; /* that there would be; the first ones are above */
	int64_t bytes;
	struct eviction_summary summary;
	const char *problem; /* why it is not known; NULL: it is */
};

/* -ENOMEM */
int page_plan_add(struct page_plan *plan, const struct evicted_record *record);
void page_plan_free(struct page_plan *plan); /* what it points to */

void page_policies_begin(struct strbuf *out, const struct page_status *s, bool automatic);
void page_policies_add(struct strbuf *out, const struct page_status *s,
		       const struct eviction_policy_view *policy, const struct page_plan *plan);
