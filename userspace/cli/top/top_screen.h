/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a live view, for any size of a terminal and for batch mode. Draws nothing. */
#pragma once

#include "cli/top/top_frame.h"
#include "cli/top/top_state.h"

struct top_line {
	char *text;
	enum top_style style;
};

struct top_screen {
	struct top_frame frame;
	struct top_line *lines;
	size_t count, capacity;
	bool failed; /* out of memory */
};

/* Fills the lines, and tells the state how many rows of its list are shown. */
void top_screen_draw(struct top_screen *screen, struct top_state *s);
void top_screen_free(struct top_screen *screen);
DEFINE_CLEANUP_VALUE(struct top_screen, top_screen_free)
