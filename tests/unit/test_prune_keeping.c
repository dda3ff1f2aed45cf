/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "prune/prune_keeping.h"

static void a_layer_is_kept_within_the_limit_and_while_the_disk_has_space(void **unused)
{
	(void)unused;
	static const struct {
		struct prune_keeping keeping;
		struct prune_disk disk;
		int64_t layer;
		bool kept;
	} cases[] = {
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 500 }, 100, true },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 500 }, 101, false },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 149 }, 1, false },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 150 }, 1, true },
		{ PRUNE_KEEPING_DEFAULTS,
		  { .total_bytes = 1000, .free_bytes = 500, .total_inodes = 100, .free_inodes = 5 },
		  1,
		  false },
		{ { { 0 }, { 0 } }, { .total_bytes = 1000, .free_bytes = 500 }, 0, false },
		{ { { .bytes = 10 }, { 0 } }, { .total_bytes = 1000 }, 10, true },
		{ PRUNE_KEEPING_DEFAULTS, { 0 }, 0, false }, /* statfs failed */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(prune_keeping_may_keep(&cases[i].keeping, &cases[i].disk,
							cases[i].layer),
				 cases[i].kept);
}

static void what_is_too_much_is_freed_and_not_more_than_there_is(void **unused)
{
	(void)unused;
	static const struct {
		struct prune_keeping keeping;
		struct prune_disk disk;
		int64_t kept, excess;
	} cases[] = {
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 500 }, 100, 0 },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 500 }, 130, 30 },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 120 }, 100, 30 },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 0 }, 100, 100 },
		{ PRUNE_KEEPING_DEFAULTS, { .total_bytes = 1000, .free_bytes = 500 }, 0, 0 },
		{ PRUNE_KEEPING_DEFAULTS,
		  { .total_bytes = 1000, .free_bytes = 500, .total_inodes = 100, .free_inodes = 5 },
		  50,
		  50 },
		/* The setting was changed to 0: nothing stays. */
		{ { { 0 }, { 0 } }, { .total_bytes = 1000, .free_bytes = 500 }, 70, 70 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(prune_keeping_excess(&cases[i].keeping, &cases[i].disk,
						      cases[i].kept),
				 cases[i].excess);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer_is_kept_within_the_limit_and_while_the_disk_has_space),
		cmocka_unit_test(what_is_too_much_is_freed_and_not_more_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
