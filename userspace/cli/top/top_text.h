/* SPDX-License-Identifier: Apache-2.0 */
/* Short texts of a live view, and lines that fit into a number of terminal columns. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define TOP_TEXT_MAX 40

/* "812M", "1.2G", "0"; "-" or a dash for what is not known (negative). */
const char *top_text_size(int64_t bytes, bool utf8, char buffer[TOP_TEXT_MAX]);
/* "412", "3.1k". */
const char *top_text_count(double count, char buffer[TOP_TEXT_MAX]);
/* "now", "40s", "12m", "5h", "9d", "2y", "never". */
const char *top_text_age(int64_t wall_ns, int64_t now_ns, char buffer[TOP_TEXT_MAX]);
/* "3d02h", "5h12m", "40s". */
const char *top_text_span(int64_t ns, char buffer[TOP_TEXT_MAX]);
/* "14:52:03Z" */
const char *top_text_clock(int64_t wall_ns, char buffer[TOP_TEXT_MAX]);

/* A column of bars for the values, the highest as high as the largest of them; several neighbouring
 * values share a bar when there are more values than columns. Something is never drawn as nothing.
 */
void top_text_spark(struct strbuf *out, const uint32_t *values, size_t count, size_t columns,
		    bool utf8);
/* `share` of the columns is filled; more than all is all. */
void top_text_bar(struct strbuf *out, double share, size_t columns, bool utf8);

/* Appends as much of the text as fits, with a mark where it was cut, and blanks up to the width.
 * Control characters and the like are escaped. */
void top_text_fit(struct strbuf *out, const char *text, size_t columns, bool right, bool utf8);
/* How many terminal columns a text takes that has no control characters. */
size_t top_text_columns(const char *text);

struct top_column {
	const char *title;
	size_t width; /* of the last column shown: at least */
	bool right;
	int rank; /* columns with the highest rank are left out first; 0: never */
};

/* A line of a table. `cells` NULL: the headings. `width` 0: as wide as it gets, all columns. */
void top_text_row(struct strbuf *out, const struct top_column *columns, size_t count,
		  const char *const *cells, size_t width, bool utf8);
