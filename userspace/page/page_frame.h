/* SPDX-License-Identifier: Apache-2.0 */
/* What all pages have around their content, and the cells of their tables. Everything that comes
 * from outside passes through these, which make it text. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Always in sight: whether the numbers can be trusted, and when they are of. Texts are borrowed. */
struct page_status {
	const char *backend;
	const char *degraded_reason; /* NULL: accounting works */
	uint64_t lost;
	int64_t programs_ns; /* that the BPF programs ran while that was measured; 0: it is not */
	int64_t now_ns;
};

/* `path`: of the page, which is then marked in the navigation. */
void page_begin(struct strbuf *out, const struct page_status *s, const char *title,
		const char *path);
void page_end(struct strbuf *out);

void page_heading(struct strbuf *out, const char *text);
void page_note(struct strbuf *out, const char *text); /* a paragraph */
/* The names of the columns, with a NULL at the end; those that begin with '#' are of numbers. */
void page_table(struct strbuf *out, const char *const *columns);
void page_table_end(struct strbuf *out);
/* The next row, and the cells in it. */
void page_row(struct strbuf *out);
void page_cell(struct strbuf *out, const char *text);
void page_cell_size(struct strbuf *out, int64_t bytes); /* < 0: not known */
void page_cell_count(struct strbuf *out, uint64_t count);
void page_cell_record(struct strbuf *out, const char *id, bool short_id); /* a link; "": none */
void page_cell_age(struct strbuf *out, const struct page_status *s, int64_t wall_ns, bool known);
