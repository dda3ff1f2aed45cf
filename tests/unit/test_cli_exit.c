/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/cli_exit.h"

/* The numbers are written out because scripts compare with numbers. -EINVAL comes from the agent:
 * varve itself refuses invalid usage with 2. */
static void each_error_has_its_fixed_exit_status(void **unused)
{
	(void)unused;
	static const struct {
		int code;
		int expected;
	} cases[] = {
		{ 0, 0 },	{ -EIO, 1 },	    { -EINVAL, 1 },	  { -EOPNOTSUPP, 1 },
		{ -ENOSPC, 1 }, { -ECONNRESET, 3 }, { -ECONNREFUSED, 3 }, { -EPIPE, 3 },
		{ -ENOENT, 4 }, { -EBUSY, 5 },	    { -EEXIST, 5 },	  { -ENOTEMPTY, 5 },
		{ -EPERM, 6 },	{ -EACCES, 6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cli_exit_from_errno(cases[i].code), cases[i].expected);
	assert_int_equal(CLI_EXIT_USAGE, 2);
	assert_int_equal(CLI_EXIT_GOAL_MISSED, 7);
	assert_int_equal(CLI_EXIT_PROBLEMS_FOUND, 8);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_error_has_its_fixed_exit_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
