/* SPDX-License-Identifier: Apache-2.0 */
/* The forecast for records whose past is made up by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "prune/forecast.h"

#define MINUTE 60.0
#define HOUR 3600.0

struct world {
	struct forecast forecast;
	double seconds; /* of wall time */
	struct forecast_past base, record, sibling;
};

static int64_t now(const struct world *w)
{
	return (int64_t)(w->seconds * NS_PER_S) + NS_PER_S;
}

/* Lets time pass, with a need of some record every five minutes, so that the clock runs. */
static void pass(struct world *w, double seconds)
{
	double end = w->seconds + seconds;

	while (w->seconds < end) {
		w->seconds += 5 * MINUTE;
		forecast_advance(&w->forecast, now(w));
	}
}

static struct world *begin(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	forecast_init(&w->forecast);
	forecast_advance(&w->forecast, now(w));
	forecast_made(&w->forecast, &w->base, NULL);
	forecast_made(&w->forecast, &w->record, &w->base);
	return w;
}

static void need(struct world *w)
{
	forecast_advance(&w->forecast, now(w));
	forecast_needed(&w->forecast, &w->record);
}

static double rate(struct world *w)
{
	forecast_count_idle(&w->forecast, &w->record, now(w));
	return forecast_rate(&w->forecast, &w->record, now(w));
}

static void a_quiet_night_counts_a_quarter_of_an_hour(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double before = forecast_busy_s(&w->forecast, now(w));

	w->seconds += 9 * HOUR;
	assert_true(forecast_busy_s(&w->forecast, now(w)) == before + 15 * MINUTE);
	forecast_advance(&w->forecast, now(w));
	assert_true(forecast_busy_s(&w->forecast, now(w)) == before + 15 * MINUTE);
	w->seconds += MINUTE;
	assert_true(forecast_busy_s(&w->forecast, now(w)) == before + 16 * MINUTE);
	free(w);
}

static void a_clock_that_steps_back_or_jumps_ahead_does_no_harm(void **unused)
{
	(void)unused;
	struct world *w = begin();

	pass(w, HOUR);
	double before = forecast_busy_s(&w->forecast, now(w));
	w->seconds -= 20 * HOUR;
	assert_true(forecast_busy_s(&w->forecast, now(w)) == before);
	need(w);
	assert_true(forecast_busy_s(&w->forecast, now(w)) == before);
	w->seconds += 10.0 * 365 * 24 * HOUR;
	need(w);
	assert_true(forecast_busy_s(&w->forecast, now(w)) == before + 15 * MINUTE);
	assert_true(rate(w) > 0);
	free(w);
}

static void a_clock_that_jumps_by_years_to_and_fro_does_no_harm(void **unused)
{
	(void)unused;
	struct world *w = begin();

	for (int i = 0; i < 6; i++) {
		double before = w->forecast.busy_s;

		w->seconds += (i % 2 ? -1 : 1) * 30.0 * 365 * 24 * HOUR;
		need(w);
		assert_true(w->forecast.busy_s >= before);
		assert_true(w->forecast.busy_s <= before + 15 * MINUTE);
		assert_true(rate(w) > 0 && isfinite(rate(w)));
		pass(w, HOUR);
	}
	assert_true(w->record.last_s <= w->forecast.busy_s);
	free(w);
}

static void a_record_that_is_needed_often_is_expected_sooner(void **unused)
{
	(void)unused;
	struct world *seldom = begin(), *often = begin();

	for (int i = 0; i < 5; i++) {
		pass(seldom, 24 * HOUR);
		need(seldom);
		for (int k = 0; k < 24; k++) {
			pass(often, HOUR);
			need(often);
		}
	}
	pass(seldom, HOUR);
	pass(often, HOUR);
	assert_true(rate(often) > 5 * rate(seldom));
	free(seldom);
	free(often);
}

static void a_long_silence_lowers_the_expectation(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double soon, late;

	for (int i = 0; i < 12; i++) {
		pass(w, HOUR);
		need(w);
	}
	soon = rate(w);
	pass(w, 10 * 24 * HOUR);
	late = rate(w);
	assert_true(late < soon / 20);
	free(w);
}

static void a_younger_sibling_makes_a_return_less_probable(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double alone, superseded;

	for (int i = 0; i < 3; i++) {
		pass(w, HOUR);
		need(w);
	}
	pass(w, HOUR);
	alone = rate(w);
	forecast_made(&w->forecast, &w->sibling, &w->base);
	pass(w, 5 * MINUTE);
	superseded = rate(w);
	assert_true(superseded < alone * 0.7);
	free(w);
}

/* On a base image, layers of many projects live beside each other. */
static void a_younger_sibling_says_little_where_older_ones_come_back(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double alone;

	for (int i = 0; i < 20; i++) {
		pass(w, 5 * MINUTE);
		forecast_made(&w->forecast, &w->sibling, &w->base);
		pass(w, HOUR);
		need(w);
	}
	assert_true(w->base.replacements >= 18);
	assert_true(w->base.comebacks >= 18);
	pass(w, HOUR);
	alone = rate(w);
	forecast_made(&w->forecast, &w->sibling, &w->base);
	pass(w, 5 * MINUTE);
	assert_true(rate(w) > alone * 0.8);
	free(w);
}

static void what_lies_on_a_replaced_record_is_superseded_too(void **unused)
{
	(void)unused;
	struct world *w = begin();
	struct forecast_past top;

	forecast_made(&w->forecast, &top, &w->record);
	pass(w, HOUR);
	double before = forecast_rate(&w->forecast, &top, now(w));
	forecast_made(&w->forecast, &w->sibling, &w->base);
	pass(w, 5 * MINUTE);
	assert_true(forecast_rate(&w->forecast, &top, now(w)) < before * 0.7);
	free(w);
}

static void chains_without_end_are_looked_at_in_bounded_time(void **unused)
{
	(void)unused;
	struct world *w = begin();

	w->base.parent = &w->record; /* a history that cannot be */
	pass(w, HOUR);
	need(w);
	assert_true(rate(w) > 0);
	free(w);
}

static void the_table_has_learned_after_a_hundred_returns(void **unused)
{
	(void)unused;
	struct world *w = begin();

	for (int i = 0; i < 90; i++) {
		pass(w, HOUR);
		need(w);
	}
	assert_false(forecast_has_learned(&w->forecast));
	for (int i = 0; i < 30; i++) { /* older ones have faded a little */
		pass(w, HOUR);
		need(w);
	}
	assert_true(forecast_has_learned(&w->forecast));
	free(w);
}

static void an_unread_record_fades_with_the_square_of_its_age(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double first, second;

	pass(w, 10 * HOUR);
	first = rate(w);
	pass(w, 10 * HOUR);
	second = rate(w);
	assert_true(second < first / 3 && second > first / 5);
	free(w);
}

/* Records that are made and come back after ten hours, and at no other time. */
static void the_life_table_learns_when_records_come_back(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double untaught, taught;

	pass(w, 9.9 * HOUR);
	untaught = rate(w);
	for (int i = 0; i < 60; i++) {
		forecast_made(&w->forecast, &w->record, NULL);
		pass(w, 10 * HOUR);
		forecast_needed(&w->forecast, &w->record);
	}
	forecast_made(&w->forecast, &w->record, NULL);
	pass(w, 9.9 * HOUR);
	taught = forecast_rate(&w->forecast, &w->record, now(w));
	assert_true(taught > 3 * untaught);
	free(w);
}

static void needs_of_one_burst_are_one_need(void **unused)
{
	(void)unused;
	struct world *w = begin();

	pass(w, HOUR);
	for (int i = 0; i < 50; i++)
		need(w);
	assert_int_equal(w->record.needs, 2);
	free(w);
}

static void learned_returns_fade(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double returned;

	for (int i = 0; i < 30; i++) {
		pass(w, HOUR);
		need(w);
	}
	returned = w->forecast.all.returned / w->forecast.weight;
	pass(w, 30 * 24 * HOUR);
	assert_true(w->forecast.all.returned / w->forecast.weight < returned * 0.51);
	/* Bringing the weight down, as the agent does now and then, changes nothing. */
	pass(w, 3 * 365 * 24 * HOUR);
	assert_true(w->forecast.weight < 1e10);
	assert_true(rate(w) > 0);
	free(w);
}

static void a_record_that_was_read_at_once_is_expected_sooner_than_one_that_was_not(void **unused)
{
	(void)unused;
	struct world *read = begin(), *unread = begin();

	read->seconds = unread->seconds += 5;
	need(read);
	assert_true(forecast_was_read(&read->record));
	assert_false(forecast_was_read(&unread->record));
	assert_int_equal(read->record.needs, 1); /* it belongs to the creation */
	assert_true(rate(read) > 1.5 * rate(unread));
	pass(read, HOUR);
	need(read);
	assert_true(forecast_usual_gap_s(&read->record) > 0.9 * HOUR);
	free(read);
	free(unread);
}

static void needs_that_are_told_out_of_order_count_their_time_once(void **unused)
{
	(void)unused;
	struct world *w = begin();
	double before = w->forecast.busy_s;

	for (int i = 0; i < 10; i++) {
		w->seconds += 5;
		forecast_advance(&w->forecast, now(w));
		forecast_advance(&w->forecast, now(w) - 4 * NS_PER_S);
	}
	assert_true(w->forecast.busy_s == before + 50);
	free(w);
}

static void a_stored_past_that_cannot_be_is_mended(void **unused)
{
	(void)unused;
	static const struct forecast_past lies[] = {
		{ .first_s = 1e15, .last_s = 1e16, .counted_s = -1e300, .child_s = 1e300 },
		{ .first_s = -1e15, .last_s = -5, .counted_s = 1e15, .needs = UINT32_MAX },
		{ .first_s = NAN, .last_s = INFINITY, .mean_log_gap = NAN, .needs = 3 },
		{ .first_s = 7, .last_s = 3, .mean_log_gap = 1e30F, .needs = 2 },
	};
	struct world *w = begin();

	pass(w, HOUR);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		w->record = lies[i];
		forecast_past_mend(&w->forecast, &w->record);
		assert_true(w->record.first_s >= 0 && w->record.first_s <= w->record.last_s);
		assert_true(w->record.counted_s >= w->record.last_s);
		assert_true(w->record.counted_s <= w->forecast.busy_s);
		assert_true(w->record.needs > 0);
		assert_true(rate(w) > 0 && isfinite(rate(w)));
		pass(w, HOUR);
		need(w);
		assert_true(rate(w) > 0 && isfinite(rate(w)));
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_night_counts_a_quarter_of_an_hour),
		cmocka_unit_test(a_clock_that_steps_back_or_jumps_ahead_does_no_harm),
		cmocka_unit_test(a_clock_that_jumps_by_years_to_and_fro_does_no_harm),
		cmocka_unit_test(a_record_that_is_needed_often_is_expected_sooner),
		cmocka_unit_test(a_long_silence_lowers_the_expectation),
		cmocka_unit_test(a_younger_sibling_makes_a_return_less_probable),
		cmocka_unit_test(a_younger_sibling_says_little_where_older_ones_come_back),
		cmocka_unit_test(what_lies_on_a_replaced_record_is_superseded_too),
		cmocka_unit_test(chains_without_end_are_looked_at_in_bounded_time),
		cmocka_unit_test(the_table_has_learned_after_a_hundred_returns),
		cmocka_unit_test(an_unread_record_fades_with_the_square_of_its_age),
		cmocka_unit_test(the_life_table_learns_when_records_come_back),
		cmocka_unit_test(needs_of_one_burst_are_one_need),
		cmocka_unit_test(learned_returns_fade),
		cmocka_unit_test(
			a_record_that_was_read_at_once_is_expected_sooner_than_one_that_was_not),
		cmocka_unit_test(needs_that_are_told_out_of_order_count_their_time_once),
		cmocka_unit_test(a_stored_past_that_cannot_be_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
