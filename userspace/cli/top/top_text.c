/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/visible_text.h"

#define COLUMNS_MAX 20
#define MB_LEN_MAX_UTF8 16 /* of any encoding */

static const char *scaled(double value, double base, const char *units, char buffer[TOP_TEXT_MAX])
{
	size_t unit = 0;

	/* 999.95 would become "1000.0". */
	while (value >= (base == 1024 ? 999.5 : 999.95) && units[unit + 1]) {
		value /= base;
		unit++;
	}
	(void)snprintf(buffer, TOP_TEXT_MAX, unit > 0 && value < 99.95 ? "%.1f%.1s" : "%.0f%.1s",
		       value, unit > 0 ? &units[unit] : "");
	return buffer;
}

const char *top_text_size(int64_t bytes, bool utf8, char buffer[TOP_TEXT_MAX])
{
	if (bytes < 0)
		return utf8 ? "\xe2\x80\x93" : "-";
	return scaled((double)bytes, 1024, " KMGTPE", buffer);
}

const char *top_text_count(double count, char buffer[TOP_TEXT_MAX])
{
	if (count > 0 && count < 0.95)
		return "<1";
	return scaled(count, 1000, " kMGTPE", buffer);
}

const char *top_text_age(int64_t wall_ns, int64_t now_ns, char buffer[TOP_TEXT_MAX])
{
	static const struct {
		int64_t below_s, unit_s;
		const char *unit;
	} units[] = {
		{ 120, 1, "s" },
		{ 7200, 60, "m" },
		{ 172800, 3600, "h" },
		{ 63072000, 86400, "d" },
		{ INT64_MAX, 31536000, "y" },
	};
	int64_t age_s = (now_ns - wall_ns) / NS_PER_S;
	size_t i = 0;

	if (wall_ns == 0)
		return "never";
	if (age_s < 2)
		return "now";
	while (age_s >= units[i].below_s)
		i++;
	(void)snprintf(buffer, TOP_TEXT_MAX, "%" PRId64 "%s", age_s / units[i].unit_s,
		       units[i].unit);
	return buffer;
}

const char *top_text_span(int64_t ns, char buffer[TOP_TEXT_MAX])
{
	int64_t s = ns / NS_PER_S;

	if (s >= 86400)
		(void)snprintf(buffer, TOP_TEXT_MAX, "%" PRId64 "d%02" PRId64 "h", s / 86400,
			       s % 86400 / 3600);
	else if (s >= 3600)
		(void)snprintf(buffer, TOP_TEXT_MAX, "%" PRId64 "h%02" PRId64 "m", s / 3600,
			       s % 3600 / 60);
	else if (s >= 60)
		(void)snprintf(buffer, TOP_TEXT_MAX, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else
		(void)snprintf(buffer, TOP_TEXT_MAX, "%" PRId64 "s", s > 0 ? s : 0);
	return buffer;
}

const char *top_text_clock(int64_t wall_ns, char buffer[TOP_TEXT_MAX])
{
	int64_t s = wall_ns / NS_PER_S % 86400;

	(void)snprintf(buffer, TOP_TEXT_MAX, "%02" PRId64 ":%02" PRId64 ":%02" PRId64 "Z", s / 3600,
		       s % 3600 / 60, s % 60);
	return buffer;
}

/* ---- pictures ---- */

static const char *glyph(double share, bool utf8)
{
	static const char *const bars[] = { " ",
					    "\xe2\x96\x81",
					    "\xe2\x96\x82",
					    "\xe2\x96\x83",
					    "\xe2\x96\x84",
					    "\xe2\x96\x85",
					    "\xe2\x96\x86",
					    "\xe2\x96\x87",
					    "\xe2\x96\x88" };
	static const char *const ascii[] = { " ", ".", ":", "-", "=", "+", "*", "%", "#" };
	size_t height = share > 0 ? 1 + (size_t)(share * 7.999) : 0;

	if (height > 8)
		height = 8;
	return utf8 ? bars[height] : ascii[height];
}

/* The sum of the values that share a bar. */
static double bar_value(const uint32_t *values, size_t count, size_t columns, size_t bar)
{
	double sum = 0;

	for (size_t i = bar * count / columns; i < (bar + 1) * count / columns; i++)
		sum += values[i];
	return sum;
}

void top_text_spark(struct strbuf *out, const uint32_t *values, size_t count, size_t columns,
		    bool utf8)
{
	double largest = 0;

	if (columns > count)
		columns = count;
	for (size_t i = 0; i < columns; i++) {
		double value = bar_value(values, count, columns, i);

		largest = value > largest ? value : largest;
	}
	for (size_t i = 0; i < columns; i++) {
		double value = bar_value(values, count, columns, i);

		strbuf_append(out, glyph(largest > 0 ? value / largest : 0, utf8));
	}
}

void top_text_bar(struct strbuf *out, double share, size_t columns, bool utf8)
{
	for (size_t i = 0; i < columns; i++) {
		bool full = share * (double)columns >= (double)i + 0.5;

		strbuf_append(out,
			      utf8 ? (full ? "\xe2\x96\x93" : "\xe2\x96\x91") : (full ? "#" : "."));
	}
}

/* ---- lines ---- */

/* How many bytes fit, and how many columns these take. */
static size_t fitting(const char *text, size_t columns, size_t *ret_taken)
{
	mbstate_t state = { 0 };
	size_t length = 0;

	*ret_taken = 0;
	while (text[length]) {
		wchar_t character;
		size_t size = mbrtowc(&character, text + length, MB_LEN_MAX_UTF8, &state);
		int width;

		if (size == 0 || size > MB_LEN_MAX_UTF8)
			break; /* the text is valid in the locale; this guards the loop */
		width = wcwidth(character);
		if (*ret_taken + (width > 0 ? (size_t)width : 0) > columns)
			break;
		*ret_taken += width > 0 ? (size_t)width : 0;
		length += size;
	}
	return length;
}

size_t top_text_columns(const char *text)
{
	size_t taken;

	(void)fitting(text, SIZE_MAX / 2, &taken);
	return taken;
}

static void pad(struct strbuf *out, size_t columns)
{
	if (columns > 0)
		strbuf_appendf(out, "%*s", (int)columns, "");
}

void top_text_fit(struct strbuf *out, const char *text, size_t columns, bool right, bool utf8)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	size_t taken, length;

	visible_text_append(&visible, text, utf8);
	if (strbuf_failed(&visible) || !visible.text) {
		pad(out, columns);
		return;
	}
	length = fitting(visible.text, columns, &taken);
	if (visible.text[length] && columns > 0) {
		length = fitting(visible.text, columns - 1, &taken);
		strbuf_append_bytes(out, visible.text, length);
		strbuf_append(out, utf8 ? "\xe2\x80\xa6" : "+");
		pad(out, columns - 1 - taken);
		return;
	}
	if (right)
		pad(out, columns - taken);
	strbuf_append_bytes(out, visible.text, length);
	if (!right)
		pad(out, columns - taken);
}

/* Which columns fit into the width, and how wide the last of them is. */
static void choose_columns(const struct top_column *columns, size_t count, size_t width,
			   bool shown[COLUMNS_MAX])
{
	for (;;) {
		size_t sum = 0, worst = count;

		for (size_t i = 0; i < count; i++) {
			if (!shown[i])
				continue;
			sum += columns[i].width + (sum > 0);
			if (columns[i].rank > 0 &&
			    (worst == count || columns[i].rank > columns[worst].rank))
				worst = i;
		}
		if (sum <= width || worst == count)
			return;
		shown[worst] = false;
	}
}

void top_text_row(struct strbuf *out, const struct top_column *columns, size_t count,
		  const char *const *cells, size_t width, bool utf8)
{
	bool shown[COLUMNS_MAX] = { false };
	size_t last = 0, at = 0;

	for (size_t i = 0; i < count && i < COLUMNS_MAX; i++)
		shown[i] = true;
	if (width > 0)
		choose_columns(columns, count, width, shown);
	for (size_t i = 0; i < count; i++)
		if (shown[i])
			last = i;
	for (size_t i = 0; i <= last; i++) {
		const char *cell = cells ? cells[i] : columns[i].title;
		size_t columns_left = width > at ? width - at : 0;
		size_t own = columns[i].width;

		if (!shown[i])
			continue;
		if (width > 0 && columns_left < 2 && at > 0)
			break;
		if (at > 0) {
			strbuf_append(out, " ");
			at++;
			columns_left -= columns_left > 0;
		}
		if (i == last && !columns[i].right)
			own = width > 0 ? columns_left : top_text_columns(cell);
		else if (width > 0 && own > columns_left)
			own = columns_left;
		if (i == last && width == 0 && !columns[i].right)
			visible_text_append(out, cell, utf8);
		else
			top_text_fit(out, cell, own, columns[i].right, utf8);
		at += own;
	}
}
