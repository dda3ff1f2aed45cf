/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hashmap.h"

#define KEYS 700

struct value {
	char key[16];
	bool present; /* the model */
	unsigned seen;
};

static void an_empty_map_finds_nothing(void **unused)
{
	(void)unused;
	struct hashmap *m = hashmap_new();
	size_t position = 0;

	assert_non_null(m);
	assert_null(hashmap_find(m, ""));
	assert_null(hashmap_remove(m, "a"));
	assert_null(hashmap_next(m, &position));
	assert_int_equal(hashmap_count(m), 0);
	hashmap_free(m);
	hashmap_free(NULL);
}

static void a_key_can_be_inserted_once(void **unused)
{
	(void)unused;
	struct hashmap *m = hashmap_new();
	int first = 1, second = 2;
	char same_text[] = "key";

	assert_int_equal(hashmap_insert(m, "key", &first), 0);
	assert_int_equal(hashmap_insert(m, same_text, &second), -EEXIST);
	assert_ptr_equal(hashmap_find(m, same_text), &first);
	assert_int_equal(hashmap_insert(m, "", &second), 0);
	assert_ptr_equal(hashmap_find(m, ""), &second);
	assert_int_equal(hashmap_count(m), 2);
	assert_ptr_equal(hashmap_remove(m, same_text), &first);
	assert_null(hashmap_find(m, "key"));
	assert_int_equal(hashmap_insert(m, "key", &second), 0);
	assert_ptr_equal(hashmap_find(m, "key"), &second);
	hashmap_free(m);
}

static void check_against_model(const struct hashmap *m, struct value *values, size_t present)
{
	size_t position = 0, visited = 0;
	struct value *v;

	assert_int_equal(hashmap_count(m), present);
	for (size_t i = 0; i < KEYS; i++) {
		assert_ptr_equal(hashmap_find(m, values[i].key),
				 values[i].present ? &values[i] : NULL);
		values[i].seen = 0;
	}
	while ((v = hashmap_next(m, &position))) {
		assert_true(v->present);
		assert_int_equal(v->seen++, 0);
		visited++;
	}
	assert_int_equal(visited, present);
}

/* Fills and empties the map in turns, so that runs of used slots form, are cut and are closed
 * again. */
static void random_operations_agree_with_a_model(void **unused)
{
	(void)unused;
	static struct value values[KEYS];
	struct hashmap *m = hashmap_new();
	uint64_t state = 12345;
	size_t present = 0;

	assert_non_null(m);
	for (size_t i = 0; i < KEYS; i++)
		(void)snprintf(values[i].key, sizeof(values[i].key), "key-%zu", i * i);

	for (unsigned step = 0; step < 60000; step++) {
		bool filling = step / 5000 % 2 == 0;
		struct value *v;
		bool insert;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		v = &values[(state >> 33) % KEYS];
		insert = (state >> 20) % 10 < (filling ? 8 : 2);
		if (insert) {
			assert_int_equal(hashmap_insert(m, v->key, v), v->present ? -EEXIST : 0);
			present += !v->present;
			v->present = true;
		} else {
			assert_ptr_equal(hashmap_remove(m, v->key), v->present ? v : NULL);
			present -= v->present;
			v->present = false;
		}
		if (step % 500 == 499)
			check_against_model(m, values, present);
	}
	hashmap_free(m);
}

/* If all tables ordered their entries alike, the second one would become very slow. */
static void a_table_filled_in_the_order_of_another_one_spreads_its_entries(void **unused)
{
	(void)unused;
	static struct value values[40 * KEYS];
	struct hashmap *first = hashmap_new(),
		       *second = hashmap_new_of(offsetof(struct value, key));
	size_t position = 0, same_order = 0, i = 0;
	const struct value *found;
	struct value *v;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		(void)snprintf(values[i].key, sizeof(values[i].key), "%zu", i);
		assert_int_equal(hashmap_insert(first, values[i].key, &values[i]), 0);
	}
	for (i = 0; (v = hashmap_next(first, &position)); i++) {
		v->seen = (unsigned)i;
		assert_int_equal(hashmap_insert(second, v->key, v), 0);
	}
	position = i = 0;
	for (unsigned last = 0; (found = hashmap_next(second, &position)); last = found->seen, i++)
		same_order += found->seen > last;
	assert_int_equal(i, ARRAY_SIZE(values));
	assert_in_range(same_order, ARRAY_SIZE(values) / 4, ARRAY_SIZE(values) * 3 / 4);
	hashmap_free(first);
	hashmap_free(second);
}

static void a_table_with_room_made_for_its_entries_keeps_them_and_takes_more(void **unused)
{
	(void)unused;
	static struct value values[KEYS];
	struct hashmap *map = hashmap_new_of(offsetof(struct value, key));

	for (size_t i = 0; i < KEYS; i++) {
		(void)snprintf(values[i].key, sizeof(values[i].key), "%zu", i);
		if (i == KEYS / 4) {
			assert_int_equal(hashmap_reserve(map, KEYS / 2), 0);
			assert_int_equal(hashmap_reserve(map, 0), 0);
		}
		assert_int_equal(hashmap_insert(map, values[i].key, &values[i]), 0);
	}
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(hashmap_find(map, values[i].key), &values[i]);
	assert_int_equal(hashmap_count(map), KEYS);
	hashmap_free(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_finds_nothing),
		cmocka_unit_test(a_key_can_be_inserted_once),
		cmocka_unit_test(random_operations_agree_with_a_model),
		cmocka_unit_test(a_table_filled_in_the_order_of_another_one_spreads_its_entries),
		cmocka_unit_test(a_table_with_room_made_for_its_entries_keeps_them_and_takes_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
