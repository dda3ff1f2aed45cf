/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* Stores what log_info() writes to standard error for this text. */
static void capture(const char *text, char *line, size_t size)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t length;

	assert_non_null(file);
	assert_true(saved >= 0);
	(void)fflush(stderr);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	log_info("name='%s'", text);
	(void)fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	rewind(file);
	length = fread(line, 1, size - 1, file);
	line[length] = '\0';
	(void)fclose(file);
}

static void names_in_a_log_line_cannot_control_the_terminal_or_add_lines(void **unused)
{
	(void)unused;
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "plain d\xc3\xa9j\xc3\xa0", "<6>info name='plain d\xc3\xa9j\xc3\xa0'\n" },
		{ "a\n<3>error b", "<6>info name='a\\n<3>error b'\n" },
		{ "\033[2J\177", "<6>info name='\\x1b[2J\\x7f'\n" },
		{ "\xc2\x9b"
		  "2J",
		  "<6>info name='\\u009b2J'\n" },
		{ "\x9b"
		  "2J",
		  "<6>info name='\\x9b2J'\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[256];

		capture(cases[i].text, line, sizeof(line));
		assert_string_equal(line, cases[i].expected);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_a_log_line_cannot_control_the_terminal_or_add_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
