/* SPDX-License-Identifier: Apache-2.0 */
/* What was learned, as it is stored: whole, cut, damaged, and of other versions. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "prune/forecast_text.h"

/* A table that has seen some returns. */
static struct forecast *learn(void)
{
	struct forecast *f = malloc(sizeof(*f));
	struct forecast_past base = { 0 }, record = { 0 };

	assert_non_null(f);
	forecast_init(f);
	forecast_advance(f, NS_PER_S);
	forecast_made(f, &base, NULL);
	forecast_made(f, &record, &base);
	for (int64_t i = 1; i < 40; i++) {
		forecast_advance(f, i * 800 * NS_PER_S);
		forecast_needed(f, &record);
	}
	return f;
}

static void what_was_learned_is_read_as_it_was_written(void **unused)
{
	cleanup(free_ptr) struct forecast *f = learn(), *read = malloc(sizeof(*read));
	cleanup(strbuf_free) struct strbuf text = { 0 }, again = { 0 };

	(void)unused;
	assert_non_null(read);
	assert_int_equal(forecast_text_write(f, &text), 0);
	assert_int_equal(forecast_text_read(text.text, read), 0);
	assert_true(read->all.returned > 30);
	for (size_t i = 0; i < FORECAST_GAPS; i++)
		assert_true(fabs(read->by_gap[i].returned - f->by_gap[i].returned) < 1e-6);
	assert_int_equal(forecast_text_write(read, &again), 0);
	assert_string_equal(text.text, again.text);
}

static void a_table_that_is_cut_is_refused_or_has_fewer_cells(void **unused)
{
	cleanup(free_ptr) struct forecast *f = learn(), *read = malloc(sizeof(*read));
	cleanup(strbuf_free) struct strbuf text = { 0 };
	double whole;

	(void)unused;
	assert_non_null(read);
	assert_int_equal(forecast_text_write(f, &text), 0);
	whole = f->all.returned;
	for (size_t length = strlen(text.text); length-- > 0;) {
		cleanup(free_ptr) char *cut = strndup(text.text, length);

		assert_non_null(cut);
		if (forecast_text_read(cut, read) < 0)
			assert_true(read->all.returned == 0 &&
				    read->busy_s == 0); /* learned anew */
		assert_true(read->all.returned <= whole * (1 + 1e-6));
	}
}

static void tables_that_cannot_be_or_are_of_a_newer_version_are_refused(void **unused)
{
	static const char *const texts[] = {
		"",
		"2 100 5 1 50\n0 0 1 1\n", /* a newer version */
		"1 nan 5 1 50\n",
		"1 100 -5 1 50\n",
		"1 100 5 0.5 50\n",
		"1 100 5 inf 50\n",
		"1 100 5 1 200\n", /* weighed in the future */
		"1 100 5 1 50\n64 0 1 1\n",
		"1 100 5 1 50\n0 23 1 1\n",
		"1 100 5 1 50\n0 0 -1 1\n",
		"1 100 5 1 50\n0 0 1 inf\n",
		"1 100 5 1 50\n0 0 1 1\nmore",
	};
	cleanup(free_ptr) struct forecast *read = malloc(sizeof(*read));

	(void)unused;
	assert_non_null(read);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(forecast_text_read(texts[i], read), -EINVAL);
		assert_true(read->all.returned == 0 && read->weight == 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_learned_is_read_as_it_was_written),
		cmocka_unit_test(a_table_that_is_cut_is_refused_or_has_fewer_cells),
		cmocka_unit_test(tables_that_cannot_be_or_are_of_a_newer_version_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
