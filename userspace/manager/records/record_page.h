/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a long list: records that match a filter, sorted, from some place on. Only that part is
 * copied, so that the first page of many records costs little more than that of a few. */
#pragma once

#include "manager/records/record_list.h"

enum record_order {
	RECORD_ORDER_CREATED,
	RECORD_ORDER_SIZE,
	RECORD_ORDER_LAST_USED,
	RECORD_ORDER_LAST_READ,
	RECORD_ORDER_USES,
	RECORD_ORDER_COUNT,
};

struct record_page_query {
	const char *filter; /* "" for none */
	enum record_order order;
	bool ascending; /* small, old and never used ones first */
	size_t offset, limit;
	const atomic_bool *cancelled; /* may be NULL */
};

struct record_page {
	struct record_view *views;
	size_t count;
	size_t total; /* that match */
};

/* -EINVAL: the filter. Nothing is folded or measured. Without the lock. */
int record_page_get(struct manager *m, const struct record_page_query *q,
		    struct record_page *ret_page, struct error *e);
void record_page_free(struct record_page *page); /* what it points to */
DEFINE_CLEANUP_VALUE(struct record_page, record_page_free)
