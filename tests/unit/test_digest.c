/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void digests_have_the_known_values(void **state)
{
	cleanup(digest_sum_free) struct digest_sum *sum = digest_sum_new();
	struct digest digest;

	(void)state;
	assert_non_null(sum);
	assert_int_equal(digest_sum_add(sum, "a", 1), 0);
	assert_int_equal(digest_sum_add(sum, "bc", 2), 0);
	assert_int_equal(digest_sum_end(sum, &digest), 0);
	assert_string_equal(digest.text, ABC);
	/* The sum starts again from nothing. */
	assert_int_equal(digest_sum_end(sum, &digest), 0);
	assert_string_equal(digest.text, EMPTY);
	assert_int_equal(digest_of("abc", 3, &digest), 0);
	assert_string_equal(digest.text, ABC);
	assert_string_equal(digest_hex(&digest), &ABC[7]);
}

static void invalid_digests_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ ABC, 0 },
		{ "", -EINVAL },
		{ "sha256", -EINVAL },
		{ "sha256:", -EINVAL },
		{ ":ba7816", -EINVAL },
		{ "sha256:ba7816", -EINVAL },
		{ ABC "0", -EINVAL },
		{ "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
		  -EINVAL },
		{ "../../etc/passwd", -EINVAL },
		{ "sha512:ba7816bf", -EOPNOTSUPP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct digest digest = { "untouched" };
		struct error e = { 0 };

		assert_int_equal(digest_parse(cases[i].text, &digest, &e), cases[i].code);
		assert_string_equal(digest.text, cases[i].code ? "untouched" : cases[i].text);
		assert_true(cases[i].code == 0 || strstr(e.text, cases[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_have_the_known_values),
		cmocka_unit_test(invalid_digests_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
