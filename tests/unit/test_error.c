/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void error_set_stores_code_and_text(void **unused)
{
	(void)unused;
	struct error e = { 0 };

	assert_int_equal(error_set(&e, -ENOENT, "no record '%s'", "abc"), -ENOENT);
	assert_int_equal(e.code, -ENOENT);
	assert_string_equal(e.text, "no record 'abc'");
	assert_int_equal(error_set(&e, -EBUSY, "held"), -EBUSY);
	assert_int_equal(e.code, -EBUSY);
	assert_string_equal(e.text, "held");
}

static void error_context_puts_its_text_in_front(void **unused)
{
	(void)unused;
	struct error e = { 0 };

	(void)error_set(&e, -EIO, "read: %s", "I/O error");
	assert_int_equal(error_context(&e, "open layer '%s'", "1f"), -EIO);
	assert_int_equal(error_context(&e, "mount"), -EIO);
	assert_string_equal(e.text, "mount: open layer '1f': read: I/O error");
	assert_int_equal(e.code, -EIO);
}

static void a_caller_may_pass_no_error_to_fill(void **unused)
{
	(void)unused;
	assert_int_equal(error_set(NULL, -EIO, "lost %d", 1), -EIO);
	assert_true(error_context(NULL, "also lost") < 0);
}

static void long_texts_are_cut_at_the_end(void **unused)
{
	(void)unused;
	char text[2 * sizeof((struct error){ 0 }.text)];
	struct error e = { 0 };

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(error_set(&e, -EINVAL, "%s", text), -EINVAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);

	/* The outer part of the text stays. */
	assert_int_equal(error_context(&e, "outer"), -EINVAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(strncmp(e.text, "outer: xxx", 10), 0);
	assert_int_equal(error_context(&e, "%s", text), -EINVAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(e.text[0], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_set_stores_code_and_text),
		cmocka_unit_test(error_context_puts_its_text_in_front),
		cmocka_unit_test(a_caller_may_pass_no_error_to_fill),
		cmocka_unit_test(long_texts_are_cut_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
