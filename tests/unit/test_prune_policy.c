/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "graph/record_filter.h"
#include "prune/prune_policy.h"

static const struct prune_disk disk = { .total_bytes = 1000, .free_bytes = 100 };

/* B71: keep = max(reserved, min(max used, used - (min free - free))) */
static void limits_combine_as_buildkit_combines_them(void **unused)
{
	(void)unused;
	static const struct {
		struct prune_limits limits;
		int64_t used, keep;
	} cases[] = {
		{ { { 0 }, { 0 }, { 0 } }, 500, 0 }, /* no limit: everything that matches goes */
		{ { .max_used = { .bytes = 300 } }, 500, 300 },
		{ { .max_used = { .share = 0.25 } }, 500, 250 },
		{ { .min_free = { .bytes = 50 } }, 500, PRUNE_UNLIMITED_BYTES },
		{ { .min_free = { .bytes = 150 } }, 500, 450 },
		{ { .min_free = { .share = 0.4 } }, 500, 200 },
		{ { .max_used = { .bytes = 300 }, .min_free = { .bytes = 150 } }, 500, 300 },
		{ { .max_used = { .bytes = 300 }, .min_free = { .bytes = 400 } }, 500, 200 },
		{ { .reserved = { .bytes = 400 }, .max_used = { .bytes = 300 } }, 500, 400 },
		{ { .reserved = { .share = 0.1 }, .min_free = { .share = 1 } }, 500, 100 },
		{ { .reserved = { .bytes = 400 } }, 500, PRUNE_UNLIMITED_BYTES },
		/* The result of a limit is never 0, which means "no limit". */
		{ { .min_free = { .share = 1 } }, 500, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(prune_limits_keep(&cases[i].limits, &disk, cases[i].used),
				 cases[i].keep);
}

static void a_minimum_of_free_space_applies_to_inodes_too(void **unused)
{
	(void)unused;
	const struct prune_disk full = { .total_bytes = 1000,
					 .free_bytes = 900,
					 .total_inodes = 200,
					 .free_inodes = 10,
					 .store_inodes = 100 };
	const struct prune_limits tenth = { .min_free = { .share = 0.1 } };
	const struct prune_limits bytes = { .min_free = { .bytes = 100 } };
	const struct prune_limits everything = { .min_free = { .share = 1 } };
	const struct prune_limits reserving = { .min_free = { .share = 0.1 },
						.reserved = { .share = 0.475 } };
	const struct prune_limits little = { .min_free = { .share = 0.05 } };
	struct prune_disk unlimited = full;

	/* The file system lacks 10 free inodes, and the store has 100. */
	assert_true(prune_limits_are_exceeded(&tenth, &full));
	assert_int_equal(prune_limits_free_inodes(&tenth, &full), 10);
	assert_int_equal(prune_limits_free_inodes(&bytes, &full), 10);
	assert_int_equal(prune_limits_free_inodes(&everything, &full), 100);
	/* Whatever the files take: bytes are not what is missing. */
	assert_int_equal(prune_limits_keep(&tenth, &full, 50), PRUNE_UNLIMITED_BYTES);
	/* 95 of the store's 100 inodes are its reserve, as a share of the file system's 200. */
	assert_int_equal(prune_limits_free_inodes(&reserving, &full), 5);
	assert_false(prune_limits_are_exceeded(&little, &full));
	assert_int_equal(prune_limits_free_inodes(&little, &full), 0);
	/* btrfs has no fixed number of inodes. */
	unlimited.total_inodes = unlimited.free_inodes = 0;
	assert_false(prune_limits_are_exceeded(&tenth, &unlimited));
	assert_int_equal(prune_limits_free_inodes(&tenth, &unlimited), 0);
}

static void sizes_can_be_bytes_or_shares_of_the_disk(void **unused)
{
	(void)unused;
	struct prune_space space;

	assert_int_equal(prune_space_parse("10K", &space), 0);
	assert_int_equal(prune_space_bytes(&space, &disk), 10240);
	assert_int_equal(prune_space_parse("12.5%", &space), 0);
	assert_int_equal(prune_space_bytes(&space, &disk), 125);
	assert_int_equal(prune_space_parse("100%", &space), 0);
	assert_int_equal(prune_space_bytes(&space, &disk), 1000);
	assert_int_equal(prune_space_parse("101%", &space), -EINVAL);
	assert_int_equal(prune_space_parse("much", &space), -EINVAL);
	assert_int_equal(prune_space_parse("", &space), -EINVAL);
}

/* Such a limit would count as no limit, and a prune would evict everything. */
static void invalid_limits_are_refused(void **unused)
{
	(void)unused;
	static const struct prune_limits bad[] = {
		{ .max_used = { .bytes = -1 } },	{ .reserved = { .share = -0.05 } },
		{ .min_free = { .share = 1.5 } },	{ .max_used = { .share = NAN } },
		{ .min_free = { .bytes = INT64_MIN } },
	};
	static const struct prune_limits good = { .max_used = { .share = 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(prune_limits_are_valid(&bad[i]));
	assert_true(prune_limits_are_valid(&good));
}

static void default_policies_have_valid_limits_and_filters(void **unused)
{
	(void)unused;
	struct prune_policies policies = { 0 };

	assert_int_equal(prune_policies_defaults(&policies), 0);
	assert_int_equal(policies.count, 4);
	for (size_t i = 0; i < policies.count; i++) {
		const struct prune_policy *p = &policies.items[i];
		cleanup(record_filter_free) struct record_filter *filter = NULL;

		assert_true(prune_limits_are_set(&p->limits));
		assert_int_equal(record_filter_parse((const char *const *)p->filters,
						     p->filter_count, &filter, NULL),
				 0);
		assert_ptr_equal(prune_policies_find(&policies, p->name), p);
	}
	assert_null(prune_policies_add(&policies, "old"));
	assert_int_equal(errno, EEXIST);
	prune_policies_free(&policies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_combine_as_buildkit_combines_them),
		cmocka_unit_test(a_minimum_of_free_space_applies_to_inodes_too),
		cmocka_unit_test(sizes_can_be_bytes_or_shares_of_the_disk),
		cmocka_unit_test(invalid_limits_are_refused),
		cmocka_unit_test(default_policies_have_valid_limits_and_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
