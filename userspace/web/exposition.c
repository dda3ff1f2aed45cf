/* SPDX-License-Identifier: Apache-2.0 */
#include "web/exposition.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/utf8.h"

/* Series of its own that are always written. */
#define OWN_SERIES 2
#define NUMBER_SIZE 40
#define COUNTER_SUFFIX "_total" /* of the name of each counter */

static const char *const type_names[] = {
	[EXPOSITION_GAUGE] = "gauge",
	[EXPOSITION_COUNTER] = "counter",
	[EXPOSITION_HISTOGRAM] = "histogram",
};

void exposition_begin(struct exposition *x, enum exposition_type type, const char *name,
		      const char *help)
{
	/* OpenMetrics calls a counter's family other than its samples. */
	size_t suffix = type == EXPOSITION_COUNTER && x->open_metrics ? strlen(COUNTER_SUFFIX) : 0;
	int length = (int)(strlen(name) - suffix);

	x->name = name;
	x->type = type;
	strbuf_appendf(&x->text, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, name, help, length,
		       name, type_names[type]);
}

/* The shortest text that is the same number; with a point, so that OpenMetrics takes it as a
 * bound. */
static void format_bound(double bound, char text[NUMBER_SIZE])
{
	if (bound == floor(bound))
		(void)snprintf(text, NUMBER_SIZE, "%.1f", bound);
	else
		(void)snprintf(text, NUMBER_SIZE, "%g", bound);
}

static void append_number(struct strbuf *b, double value)
{
	if (value == floor(value) && fabs(value) < 9e15)
		strbuf_appendf(b, "%.0f", value);
	else
		strbuf_appendf(b, "%.15g", value);
}

/* A label's value: escaped, and bytes that are not UTF-8 replaced. */
static void append_value(struct strbuf *b, const char *value)
{
	const char *end = value + strlen(value);

	while (value < end) {
		uint32_t character;
		size_t length = utf8_next(value, (size_t)(end - value), &character);

		if (character == UTF8_STRAY) {
			strbuf_append(b, "\xef\xbf\xbd"); /* U+FFFD */
		} else if (*value == '\\' || *value == '"') {
			strbuf_appendf(b, "\\%c", *value);
		} else if (*value == '\n') {
			strbuf_append(b, "\\n");
		} else {
			strbuf_append_bytes(b, value, length);
		}
		value += length;
	}
}

static void append_labels(struct strbuf *b, const struct exposition_label *labels, size_t count,
			  const char *bound)
{
	if (count == 0 && !bound)
		return;
	strbuf_append(b, "{");
	for (size_t i = 0; i < count; i++) {
		strbuf_appendf(b, "%s%s=\"", i ? "," : "", labels[i].name);
		append_value(b, labels[i].value);
		strbuf_append(b, "\"");
	}
	if (bound)
		strbuf_appendf(b, "%sle=\"%s\"", count ? "," : "", bound);
	strbuf_append(b, "}");
}

static void append_sample(struct exposition *x, const char *suffix, double value,
			  const struct exposition_label *labels, size_t count, const char *bound)
{
	strbuf_appendf(&x->text, "%s%s", x->name, suffix);
	append_labels(&x->text, labels, count, bound);
	strbuf_append(&x->text, " ");
	append_number(&x->text, value);
	strbuf_append(&x->text, "\n");
}

static bool has_room(struct exposition *x, size_t series)
{
	if (x->series + series + OWN_SERIES > x->limit) {
		x->left_out += series;
		return false;
	}
	x->series += series;
	return true;
}

void exposition_add(struct exposition *x, double value, const struct exposition_label *labels,
		    size_t label_count)
{
	if (has_room(x, 1))
		append_sample(x, "", value, labels, label_count, NULL);
}

void exposition_add_histogram(struct exposition *x, const struct histogram *h, double from_s,
			      double to_s, const struct exposition_label *labels,
			      size_t label_count)
{
	size_t bounds = 0;
	struct histogram_copy copy;
	uint64_t sum = 0;

	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		double bound = (double)histogram_bound_ns(i) / NS_PER_S;

		bounds += bound >= from_s && bound <= to_s;
	}
	if (!has_room(x, bounds + 3)) /* and that of all, the count, and the sum */
		return;
	histogram_read(h, &copy);
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		double bound = (double)histogram_bound_ns(i) / NS_PER_S;
		char text[NUMBER_SIZE];

		sum += copy.counts[i];
		if (bound < from_s || bound > to_s)
			continue;
		format_bound(bound, text);
		append_sample(x, "_bucket", (double)sum, labels, label_count, text);
	}
	append_sample(x, "_bucket", (double)copy.count, labels, label_count, "+Inf");
	append_sample(x, "_count", (double)copy.count, labels, label_count, NULL);
	append_sample(x, "_sum", copy.sum_s, labels, label_count, NULL);
}

void exposition_gauge(struct exposition *x, const char *name, const char *help, double value)
{
	exposition_begin(x, EXPOSITION_GAUGE, name, help);
	exposition_add(x, value, NO_LABELS);
}

void exposition_counter(struct exposition *x, const char *name, const char *help, double value)
{
	exposition_begin(x, EXPOSITION_COUNTER, name, help);
	exposition_add(x, value, NO_LABELS);
}

void exposition_end(struct exposition *x)
{
	exposition_begin(x, EXPOSITION_GAUGE, "varve_metrics_series", "Series of this answer.");
	append_sample(x, "", (double)(x->series + OWN_SERIES), NO_LABELS, NULL);
	exposition_begin(x, EXPOSITION_GAUGE, "varve_metrics_series_left_out",
			 "Series that were left out, because there is a limit.");
	append_sample(x, "", (double)x->left_out, NO_LABELS, NULL);
	if (x->open_metrics)
		strbuf_append(&x->text, "# EOF\n");
}
