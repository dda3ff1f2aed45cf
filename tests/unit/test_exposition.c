/* SPDX-License-Identifier: Apache-2.0 */
#include "web/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "web/top_layers.h"

static void a_counter_is_named_as_its_format_wants_it(void **state)
{
	cleanup(strbuf_free) struct strbuf classic = { 0 }, open = { 0 };
	struct exposition x = { .limit = 100 }, y = { .limit = 100, .open_metrics = true };

	(void)state;
	exposition_counter(&x, "a_total", "Help.", 3);
	exposition_counter(&y, "a_total", "Help.", 3);
	classic = x.text;
	open = y.text;
	assert_string_equal(classic.text,
			    "# HELP a_total Help.\n# TYPE a_total counter\na_total 3\n");
	assert_string_equal(open.text, "# HELP a Help.\n# TYPE a counter\na_total 3\n");
}

static void labels_are_escaped_and_are_always_utf8(void **state)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	struct exposition x = { .limit = 100 };

	(void)state;
	exposition_begin(&x, EXPOSITION_GAUGE, "a", "Help.");
	exposition_add(&x, 1, LABELS({ "l", "q\"b\\n\nu\xff\xc3\xa9" }));
	text = x.text;
	assert_non_null(strstr(text.text, "a{l=\"q\\\"b\\\\n\\nu\xef\xbf\xbd\xc3\xa9\"} 1\n"));
}

static void what_exceeds_the_limit_is_counted_and_not_written(void **state)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	struct histogram h = { .sum_ns = 0 };
	struct exposition x = { .limit = 5 };

	(void)state;
	exposition_begin(&x, EXPOSITION_GAUGE, "a", "Help.");
	for (int i = 0; i < 10; i++)
		exposition_add(&x, i, NO_LABELS);
	exposition_begin(&x, EXPOSITION_HISTOGRAM, "h", "Help.");
	exposition_add_histogram(&x, &h, 0.1, 1, NO_LABELS);
	exposition_end(&x);
	text = x.text;
	assert_non_null(strstr(text.text, "a 2\n"));
	assert_null(strstr(text.text, "a 3\n"));
	assert_null(strstr(text.text, "h_bucket"));
	assert_non_null(strstr(text.text, "varve_metrics_series 5\n"));
	/* Of the histogram three buckets, the one of all, the count and the sum. */
	assert_non_null(strstr(text.text, "varve_metrics_series_left_out 13\n"));
}

static void buckets_add_up_whatever_part_of_them_is_shown(void **state)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	struct histogram h = { .sum_ns = 0 };
	struct exposition x = { .limit = 100 };

	(void)state;
	histogram_add(&h, -5);
	histogram_add(&h, NS_PER_S / 1000);
	histogram_add(&h, NS_PER_S / 2);
	histogram_add(&h, 1000 * NS_PER_S);
	exposition_begin(&x, EXPOSITION_HISTOGRAM, "h", "Help.");
	exposition_add_histogram(&x, &h, 0.1, 1, NO_LABELS);
	text = x.text;
	assert_non_null(strstr(text.text, "h_bucket{le=\"0.1\"} 2\nh_bucket{le=\"0.3\"} 2\n"
					  "h_bucket{le=\"1.0\"} 3\nh_bucket{le=\"+Inf\"} 4\n"
					  "h_count 4\nh_sum 1000.501\n"));
}

/* Layers of which each was read so much, the most read first. */
static void make_numbers(struct numbers *n, size_t count, const char *prefix, uint64_t read_bytes)
{
	*n = (struct numbers){ .top_count = count };
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(n->top[i].layer, sizeof(n->top[i].layer), "%s%zu", prefix, i);
		n->top[i].read_bytes = read_bytes;
	}
}

static void layers_without_series_never_lose_what_was_read_of_them(void **state)
{
	struct top_layers top = { .count = 0 };
	struct numbers n;
	uint64_t other;

	(void)state;
	make_numbers(&n, 75, "a", 100);
	top_layers_update(&top, &n, 7500);
	assert_int_equal(top.count, TOP_LAYERS_MAX);
	other = top.other;
	/* Each layer is read a little more: those of the layers with series are not in the rest. */
	make_numbers(&n, 75, "a", 110);
	top_layers_update(&top, &n, 8250);
	assert_int_equal(top.other - other, 250);
	/* Others take their places, and the sum only grows. */
	make_numbers(&n, 75, "b", 1000);
	other = top.other;
	top_layers_update(&top, &n, 83250);
	assert_string_equal(top.shown[0].layer, "b0");
	assert_true(top.other >= other);
}

static void a_layer_keeps_its_series_while_it_is_near_the_top(void **state)
{
	struct top_layers top = { .count = 0 };
	struct numbers n, more;

	(void)state;
	make_numbers(&n, 50, "a", 100);
	top_layers_update(&top, &n, 0);
	make_numbers(&more, 25, "b", 200);
	memcpy(&more.top[25], n.top, 50 * sizeof(n.top[0]));
	more.top_count = 75;
	top_layers_update(&top, &more, 0);
	for (size_t i = 0; i < top.count; i++)
		assert_int_equal(top.shown[i].layer[0], 'a');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_is_named_as_its_format_wants_it),
		cmocka_unit_test(labels_are_escaped_and_are_always_utf8),
		cmocka_unit_test(what_exceeds_the_limit_is_counted_and_not_written),
		cmocka_unit_test(buckets_add_up_whatever_part_of_them_is_shown),
		cmocka_unit_test(layers_without_series_never_lose_what_was_read_of_them),
		cmocka_unit_test(a_layer_keeps_its_series_while_it_is_near_the_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
