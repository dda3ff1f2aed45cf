/* SPDX-License-Identifier: Apache-2.0 */
/* The list of records, and one record. */
#pragma once

#include "heat/heat_text.h"
#include "manager/eviction/eviction.h"
#include "manager/records/records.h"
#include "owners/owners.h"
#include "page/page_frame.h"

#define PAGE_RECORDS 100 /* on a page */

struct page_records {
	struct record_page_query query;
	const struct record_page *page;
	const char *problem; /* with the filter; NULL: none */
};

void page_records_write(struct strbuf *out, const struct page_status *s,
			const struct page_records *r);
/* The order of that name, as in a URL; what is no name is the default. */
enum record_order page_records_order(const char *name);

#define PAGE_FILES 100

struct page_record {
	const struct record_view *view;
	const struct eviction_explanation *explanation; /* NULL: it could not be made */
	const struct record_file_list *files; /* sorted by path; NULL: it has none */
	const char *files_problem; /* why they are missing */
	const struct heat_picture *picture; /* NULL: none */
	const char *owners; /* what owners call it: HTML of page_record_owner() */
};

void page_record_write(struct strbuf *out, const struct page_status *s,
		       const struct page_record *r);
/* Adds a row for one name. */
void page_record_owner(struct strbuf *out, const struct owner_name *name);
