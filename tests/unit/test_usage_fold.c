/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "usage/usage_fold.h"

#define HOUR (3600 * NS_PER_S)

/* A moment of a mount's life: the totals that were counted until then, and what the fold must
 * return. */
struct moment {
	enum usage_counter counter;
	uint64_t total;
	int64_t first_ns, last_ns;
	uint64_t delta, uses;
	int64_t ret_first_ns, ret_last_ns;
};

static void play(const struct moment *moments, size_t count)
{
	struct usage_fold_state state = { 0 };

	for (size_t i = 0; i < count; i++) {
		const struct moment *m = &moments[i];
		struct usage_totals totals = { .first_read_boot_ns = m->first_ns,
					       .last_read_boot_ns = m->last_ns };
		struct usage_delta delta;

		memset(&delta, 0xa5, sizeof(delta));
		totals.counters[m->counter] = m->total;
		usage_fold(&state, &totals, false, &delta);
		assert_int_equal(delta.counters[m->counter], m->delta);
		assert_int_equal(delta.uses, m->uses);
		assert_int_equal(delta.first_read_boot_ns, m->ret_first_ns);
		assert_int_equal(delta.last_read_boot_ns, m->ret_last_ns);
	}
}

static void a_fold_returns_what_is_new_since_the_last_one(void **unused)
{
	(void)unused;
	static const struct moment moments[] = {
		{ USAGE_WRITES, 0, 0, 0, 0, 0, 0, 0 },
		{ USAGE_WRITES, 3, 10, 30, 3, 0, 10, 30 },
		{ USAGE_WRITES, 3, 10, 30, 0, 0, 0, 0 },
		{ USAGE_WRITES, 8, 10, 90, 5, 0, 0, 90 },
		{ USAGE_WRITES, UINT64_MAX, 10, 91, UINT64_MAX - 8, 0, 0, 91 },
	};
	static const struct moment without_access[] = {
		{ USAGE_STATS, 3, 0, 0, 3, 0, 0, 0 },
		{ USAGE_STATS, 5, 0, 0, 2, 0, 0, 0 },
		{ USAGE_STATS, 6, 10, 20, 1, 0, 10, 20 },
		{ USAGE_STATS, 7, 10, 20, 1, 0, 0, 0 },
	};
	static const struct moment within_a_tick[] = {
		{ USAGE_READ_OPENS, 3, 10, 10, 3, 1, 10, 10 },
		{ USAGE_READ_OPENS, 4, 10, 10, 1, 0, 0, 10 },
	};

	play(without_access, ARRAY_SIZE(without_access));
	play(within_a_tick, ARRAY_SIZE(within_a_tick));
	play(moments, ARRAY_SIZE(moments));
}

static void a_mount_counts_one_use_per_hour(void **unused)
{
	(void)unused;
	static const struct moment moments[] = {
		{ USAGE_READS, 1, 10, 10, 1, 1, 10, 10 },
		{ USAGE_READS, 2, 10, 20, 1, 0, 0, 20 },
		{ USAGE_READS, 3, 10, HOUR + 9, 1, 0, 0, HOUR + 9 },
		{ USAGE_READS, 3, 10, HOUR + 9, 0, 0, 0, 0 },
		{ USAGE_READS, 4, 10, HOUR + 10, 1, 1, 0, HOUR + 10 },
		{ USAGE_READS, 5, 10, 2 * HOUR + 9, 1, 0, 0, 2 * HOUR + 9 },
		{ USAGE_READS, 6, 10, 9 * HOUR, 1, 1, 0, 9 * HOUR },
		{ USAGE_READS, 6, 10, 9 * HOUR, 0, 0, 0, 0 },
	};

	play(moments, ARRAY_SIZE(moments));
}

/* After a long time without a fold only the first and the last access are certain. */
static void a_late_fold_counts_only_certain_uses(void **unused)
{
	(void)unused;
	static const struct moment away[] = {
		{ USAGE_READ_OPENS, 99, HOUR, 7 * HOUR, 99, 2, HOUR, 7 * HOUR },
		{ USAGE_READ_OPENS, 100, HOUR, 8 * HOUR - 1, 1, 0, 0, 8 * HOUR - 1 },
	};
	static const struct moment briefly[] = {
		{ USAGE_READ_OPENS, 99, HOUR, 2 * HOUR - 1, 99, 1, HOUR, 2 * HOUR - 1 },
		{ USAGE_READ_OPENS, 100, HOUR, 2 * HOUR, 1, 1, 0, 2 * HOUR },
	};

	play(away, ARRAY_SIZE(away));
	play(briefly, ARRAY_SIZE(briefly));
}

static void opens_execs_reads_and_mmaps_count_as_a_use(void **unused)
{
	(void)unused;
	for (unsigned c = 0; c < USAGE_COUNTER_COUNT; c++) {
		bool uses = c == USAGE_READ_OPENS || c == USAGE_EXECS || c == USAGE_READS ||
			    c == USAGE_MMAPS || c == USAGE_MAPPED_BYTES;
		const struct moment moment = { (enum usage_counter)c, 7, 5, 6, 7, uses, 5, 6 };

		play(&moment, 1);
	}
}

/* The first access was a write, and the use comes later within the same hour. */
static void a_write_before_the_first_read_does_not_hide_the_use(void **unused)
{
	(void)unused;
	struct usage_fold_state state = { 0 };
	struct usage_totals totals = { .first_read_boot_ns = 5, .last_read_boot_ns = 5 };
	struct usage_delta delta;

	totals.counters[USAGE_WRITES] = 1;
	usage_fold(&state, &totals, false, &delta);
	assert_int_equal(delta.uses, 0);
	totals.counters[USAGE_EXECS] = 1;
	totals.last_read_boot_ns = 6;
	usage_fold(&state, &totals, false, &delta);
	assert_int_equal(delta.uses, 1);
	assert_int_equal(delta.first_read_boot_ns, 0);
	assert_int_equal(delta.counters[USAGE_WRITES], 0);
	assert_int_equal(delta.counters[USAGE_EXECS], 1);
}

static void writing_has_a_time_of_its_own(void **unused)
{
	(void)unused;
	struct usage_fold_state state = { 0 };
	struct usage_totals totals = { .last_write_boot_ns = 7 };
	struct usage_delta delta;

	totals.counters[USAGE_OPENS] = 1; /* only for writing */
	totals.counters[USAGE_WRITES] = 2;
	usage_fold(&state, &totals, false, &delta);
	assert_int_equal(delta.uses, 0);
	assert_int_equal(delta.first_read_boot_ns, 0);
	assert_int_equal(delta.last_read_boot_ns, 0);
	assert_int_equal(delta.last_write_boot_ns, 7);
	totals.counters[USAGE_WRITES] = 3; /* within the same tick */
	usage_fold(&state, &totals, false, &delta);
	assert_int_equal(delta.last_write_boot_ns, 7);
	usage_fold(&state, &totals, false, &delta);
	assert_int_equal(delta.last_write_boot_ns, 0);
}

static void uses_of_a_layer_are_those_that_the_kernel_counted(void **unused)
{
	(void)unused;
	struct usage_fold_state state = { 0 };
	struct usage_totals totals = { .uses = 3,
				       .first_read_boot_ns = 5,
				       .last_read_boot_ns = 9 * HOUR };
	struct usage_delta delta;

	totals.counters[USAGE_READS] = 10;
	usage_fold(&state, &totals, true, &delta);
	assert_int_equal(delta.uses, 3);
	totals.counters[USAGE_READS] = 11;
	totals.last_read_boot_ns = 11 * HOUR;
	usage_fold(&state, &totals, true, &delta);
	assert_int_equal(delta.uses, 0);
	totals.uses = 1; /* made anew */
	usage_fold(&state, &totals, true, &delta);
	assert_int_equal(delta.uses, 1);
}

static void counters_that_were_made_again_start_from_zero(void **unused)
{
	(void)unused;
	static const struct moment moments[] = {
		{ USAGE_READS, 50, 10, 20, 50, 1, 10, 20 },
		{ USAGE_READS, 0, 0, 0, 0, 0, 0, 0 }, /* made anew */
		{ USAGE_READS, 7, 30, 40, 7, 0, 0, 40 }, /* not the mount's first access */
		{ USAGE_READS, 2, HOUR + 30, HOUR + 30, 2, 1, 0, HOUR + 30 }, /* at once used */
	};

	play(moments, ARRAY_SIZE(moments));
}

static void counters_without_a_time_wait_for_the_next_fold(void **unused)
{
	(void)unused;
	static const struct moment moments[] = {
		{ USAGE_READS, 1, 0, 0, 0, 0, 0, 0 },
		{ USAGE_READS, 2, 10, 11, 2, 1, 10, 11 },
	};

	play(moments, ARRAY_SIZE(moments));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fold_returns_what_is_new_since_the_last_one),
		cmocka_unit_test(a_mount_counts_one_use_per_hour),
		cmocka_unit_test(a_late_fold_counts_only_certain_uses),
		cmocka_unit_test(opens_execs_reads_and_mmaps_count_as_a_use),
		cmocka_unit_test(a_write_before_the_first_read_does_not_hide_the_use),
		cmocka_unit_test(writing_has_a_time_of_its_own),
		cmocka_unit_test(uses_of_a_layer_are_those_that_the_kernel_counted),
		cmocka_unit_test(counters_that_were_made_again_start_from_zero),
		cmocka_unit_test(counters_without_a_time_wait_for_the_next_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
