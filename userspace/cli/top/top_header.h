/* SPDX-License-Identifier: Apache-2.0 */
/* The facts in the header of a live view, the most important ones first. */
#pragma once

#include "cli/top/top_frame.h"
#include "cli/top/top_state.h"

#define TOP_HEADER_FACTS 20

struct top_header {
	char facts[TOP_HEADER_FACTS][160];
	size_t count;
};

void top_header_fill(struct top_header *h, const struct top_frame *frame,
		     const struct top_state *s);
