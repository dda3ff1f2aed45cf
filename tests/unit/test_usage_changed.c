/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bpf/usage_shared.h"
#include "usage/usage_changed.h"

/* A file in memory instead of the map: both are mapped. */
struct fixture {
	struct usage_changed *changed;
	uint8_t *touched;
	int64_t now;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	cleanup(close_fd) int map = memfd_create("touched", MFD_CLOEXEC);

	assert_int_equal(ftruncate(map, USAGE_TOUCHED), 0);
	f->touched = mmap(NULL, USAGE_TOUCHED, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	assert_ptr_not_equal(f->touched, MAP_FAILED);
	assert_int_equal(usage_changed_open(map, &f->changed, NULL), 0);
	f->now = 1000 * NS_PER_S;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	usage_changed_close(f->changed);
	(void)munmap(f->touched, USAGE_TOUCHED);
	free(f);
	return 0;
}

/* Takes what was touched, and reads it; true: all cells were to be read. */
static bool take(struct fixture *f, int64_t seconds_later)
{
	bool all;

	f->now += seconds_later * NS_PER_S;
	all = usage_changed_take(f->changed, f->now);
	usage_changed_read(f->changed, all);
	return all;
}

static void the_first_time_all_are_read(void **state)
{
	struct fixture *f = *state;

	assert_true(take(f, 0));
	assert_false(take(f, 1));
}

static void only_touched_owners_are_read(void **state)
{
	struct fixture *f = *state;

	(void)take(f, 0);
	f->touched[7] = 1;
	assert_false(usage_changed_take(f->changed, f->now));
	assert_true(usage_changed_has(f->changed, 7));
	assert_true(usage_changed_has(f->changed, 7 | USAGE_LAYER_OWNER));
	assert_false(usage_changed_has(f->changed, 8));
	assert_int_equal(f->touched[7], 0);
}

/* The program may add after the byte was taken and the cell was read. */
static void an_owner_is_read_again_two_seconds_after_it_was_taken(void **state)
{
	struct fixture *f = *state;
	int64_t taken;

	(void)take(f, 0);
	f->touched[7] = 1;
	(void)take(f, 1);
	taken = f->now;
	for (int reads = 0; usage_changed_has(f->changed, 7); reads++) {
		assert_true(reads < 10);
		(void)take(f, 1);
	}
	assert_true(f->now - taken >= 2 * NS_PER_S);
}

static void what_was_not_made_use_of_is_read_again(void **state)
{
	struct fixture *f = *state;

	(void)take(f, 0);
	usage_changed_all(f->changed);
	assert_true(take(f, 1));
	assert_false(take(f, 1));
}

static void after_ten_minutes_all_are_read(void **state)
{
	struct fixture *f = *state;

	(void)take(f, 0);
	assert_false(take(f, 599));
	assert_true(take(f, 1));
	assert_false(take(f, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_time_all_are_read),
		TEST(only_touched_owners_are_read),
		TEST(an_owner_is_read_again_two_seconds_after_it_was_taken),
		TEST(what_was_not_made_use_of_is_read_again),
		TEST(after_ten_minutes_all_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
