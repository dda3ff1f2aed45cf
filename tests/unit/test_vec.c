/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/vec.h"

static void appended_items_survive_growth(void **unused)
{
	(void)unused;
	cleanup(free_ptr) uint64_t *items = NULL;
	size_t capacity = 0, moves = 0;

	for (size_t count = 0; count < 5000; count++) {
		size_t before = capacity;
		uint64_t *grown = vec_reserve(items, &capacity, count + 1, sizeof(*items));

		assert_non_null(grown);
		assert_true(capacity > count);
		moves += capacity != before;
		items = grown;
		items[count] = count * 3;
	}
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(items[i], i * 3);
	assert_true(moves < 15); /* it doubles */
}

static void an_array_with_enough_room_stays_where_it_is(void **unused)
{
	(void)unused;
	size_t capacity = 0;
	cleanup(free_ptr) char *items = vec_reserve(NULL, &capacity, 100, 1);
	size_t before = capacity;

	assert_true(capacity >= 100);
	assert_ptr_equal(vec_reserve(items, &capacity, capacity, 1), items);
	assert_ptr_equal(vec_reserve(items, &capacity, 0, 1), items);
	assert_int_equal(capacity, before);
}

static void an_empty_array_is_not_null(void **unused)
{
	(void)unused;
	size_t capacity = 0;
	cleanup(free_ptr) char *items = vec_reserve(NULL, &capacity, 0, 1);

	assert_non_null(items);
}

static void a_failed_growth_changes_nothing(void **unused)
{
	(void)unused;
	size_t capacity = 0;
	cleanup(free_ptr) uint64_t *items = vec_reserve(NULL, &capacity, 1, sizeof(*items));
	size_t before = capacity;

	items[0] = 7;
	assert_null(vec_reserve(items, &capacity, SIZE_MAX, sizeof(*items)));
	assert_null(vec_reserve(items, &capacity, SIZE_MAX / 8 + 1, sizeof(*items)));
	assert_int_equal(capacity, before);
	assert_int_equal(items[0], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_items_survive_growth),
		cmocka_unit_test(an_array_with_enough_room_stays_where_it_is),
		cmocka_unit_test(an_empty_array_is_not_null),
		cmocka_unit_test(a_failed_growth_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
