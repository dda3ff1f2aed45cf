/* SPDX-License-Identifier: Apache-2.0 */
/* What a live view is drawn for, and how lines differ. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum top_style {
	TOP_STYLE_PLAIN,
	TOP_STYLE_HEADER,
	TOP_STYLE_WARNING,
	TOP_STYLE_HEADINGS,
	TOP_STYLE_SELECTED,
	TOP_STYLE_HOT, /* read just now */
	TOP_STYLE_COLD, /* never read */
	TOP_STYLE_KEYS,
};

struct top_frame {
	size_t rows, columns; /* 0: no limit, as in batch mode */
	bool utf8,
		batch; /* batch: neither pictures nor keys, which a screen reader would read out */
	int64_t now_ns;
};
