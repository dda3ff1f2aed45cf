/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the views. */
#pragma once

#include "cli/top/top_frame.h"
#include "cli/top/top_state.h"

/* The headings of the present view, and its rows from `first` on. */
void top_lists_headings(struct strbuf *out, const struct top_frame *frame,
			const struct top_state *s);
/* False if the view has fewer rows. */
bool top_lists_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		   size_t row, enum top_style *ret_style);
