/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/recent_reads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define START (1000 * RECENT_READS_SLOT_NS)

static struct recent_read find(const struct recent_reads *t, const char *layer, int64_t now_ns)
{
	struct recent_read found;

	(void)recent_reads_find(t, layer, now_ns, &found);
	return found;
}

static void a_rate_is_that_of_the_last_window(void **state)
{
	cleanup(recent_reads_free) struct recent_reads *t = recent_reads_new(START);
	int64_t now = START;

	(void)state;
	recent_reads_add(t, "a", 4, 4000, now);
	assert_true(find(t, "a", now).bytes_per_s == 0); /* no window is over */
	now += 2 * NS_PER_S;
	recent_reads_close_window(t, now);
	assert_true(find(t, "a", now).bytes_per_s == 2000);
	assert_true(find(t, "a", now).opens_per_s == 2);
	/* What is read in the next window does not count before its end. */
	recent_reads_add(t, "a", 1, 1, now);
	assert_true(find(t, "a", now).bytes_per_s == 2000);
	now += NS_PER_S;
	recent_reads_close_window(t, now);
	assert_true(find(t, "a", now).bytes_per_s == 1);
	now += NS_PER_S;
	recent_reads_close_window(t, now);
	assert_true(find(t, "a", now).bytes_per_s == 0);
}

static void folds_close_together_are_of_one_window(void **state)
{
	cleanup(recent_reads_free) struct recent_reads *t = recent_reads_new(START);

	(void)state;
	recent_reads_add(t, "a", 1, 1000, START);
	recent_reads_close_window(t, START + NS_PER_S / 1000);
	recent_reads_add(t, "a", 1, 1000, START + NS_PER_S / 500);
	recent_reads_close_window(t, START + NS_PER_S);
	assert_true(find(t, "a", START + NS_PER_S).bytes_per_s == 2000);
}

static void the_last_ten_minutes_are_in_slots_and_older_reads_are_forgotten(void **state)
{
	cleanup(recent_reads_free) struct recent_reads *t = recent_reads_new(START);
	int64_t now = START + RECENT_READS_SLOT_NS;
	struct recent_read all;

	(void)state;
	recent_reads_add(t, "a", 1, 1, START); /* rounded up */
	recent_reads_add(t, "b", 1, 4096, now);
	recent_reads_add(t, "a", 1, 2048, now);
	assert_int_equal(find(t, "a", now).kib[RECENT_READS_SLOTS - 2], 1);
	assert_int_equal(find(t, "a", now).kib[RECENT_READS_SLOTS - 1], 2);
	recent_reads_all(t, now, &all);
	assert_int_equal(all.kib[RECENT_READS_SLOTS - 1], 6);
	/* Later, the same reads are further to the left. */
	now += 3 * RECENT_READS_SLOT_NS;
	assert_int_equal(find(t, "a", now).kib[RECENT_READS_SLOTS - 4], 2);
	assert_int_equal(find(t, "a", now).kib[RECENT_READS_SLOTS - 1], 0);
	now += RECENT_READS_SLOTS * RECENT_READS_SLOT_NS;
	for (size_t i = 0; i < RECENT_READS_SLOTS; i++)
		assert_int_equal(find(t, "a", now).kib[i], 0);
	recent_reads_close_window(t, now);
	assert_int_equal(recent_reads_count(t), 0);
}

static void a_layer_that_was_not_read_is_not_found_and_the_number_of_layers_is_bounded(void **state)
{
	cleanup(recent_reads_free) struct recent_reads *t = recent_reads_new(START);
	struct recent_read all;
	char layer[7];

	(void)state;
	recent_reads_add(t, "none", 0, 0, START);
	assert_false(recent_reads_find(t, "none", START, &all));
	for (int i = 0; i < RECENT_READS_LAYERS + 10; i++) {
		(void)snprintf(layer, sizeof(layer), "%x", (unsigned)i & 0xfffff);
		recent_reads_add(t, layer, 1, 1024, START);
	}
	assert_int_equal(recent_reads_count(t), RECENT_READS_LAYERS);
	recent_reads_all(t, START, &all);
	assert_int_equal(all.kib[RECENT_READS_SLOTS - 1], RECENT_READS_LAYERS + 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_that_of_the_last_window),
		cmocka_unit_test(folds_close_together_are_of_one_window),
		cmocka_unit_test(the_last_ten_minutes_are_in_slots_and_older_reads_are_forgotten),
		cmocka_unit_test(
			a_layer_that_was_not_read_is_not_found_and_the_number_of_layers_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
