/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/visible_text.h"

struct text_case {
	const char *text, *expected;
};

static void check(const struct text_case *cases, size_t count, bool utf8)
{
	for (size_t i = 0; i < count; i++) {
		cleanup(strbuf_free) struct strbuf out = { 0 };

		strbuf_append(&out, "");
		visible_text_append(&out, cases[i].text, utf8);
		assert_string_equal(out.text, cases[i].expected);
	}
}

static void control_characters_become_visible_text(void **unused)
{
	(void)unused;
	static const struct text_case cases[] = {
		{ "", "" },
		{ "plain ~ text", "plain ~ text" },
		{ "d\xc3\xa9j\xc3\xa0", "d\xc3\xa9j\xc3\xa0" },
		{ "\xe5\xb9\xb4\xe5\xb1\xa4", "\xe5\xb9\xb4\xe5\xb1\xa4" },
		{ "a\nb\tc\rd", "a\\nb\\tc\\rd" },
		{ "\033[31mred\a\177", "\\x1b[31mred\\x07\\x7f" },
		{ "\xc2\x9b"
		  "31m",
		  "\\u009b31m" }, /* CSI in one character */
		{ "gpj.\xe2\x80\xae"
		  "exe",
		  "gpj.\\u202eexe" },
		{ "\xe2\x80\xa8\xe2\x81\xa9\xd8\x9c", "\\u2028\\u2069\\u061c" },
		{ "\xff\xc3", "\\xff\\xc3" }, /* not UTF-8 */
		{ "\x9b"
		  "31m",
		  "\\x9b31m" },
		{ "\xc0\x8a", "\\xc0\\x8a" }, /* a newline, overlong */
	};

	check(cases, ARRAY_SIZE(cases), true);
}

static void terminals_without_utf8_get_ascii_only(void **unused)
{
	(void)unused;
	static const struct text_case cases[] = {
		{ "plain", "plain" },
		{ "\033\n", "\\x1b\\n" },
		{ "\xc3\xa9", "\\xc3\\xa9" },
	};

	check(cases, ARRAY_SIZE(cases), false);
}

static void escaping_for_terminals_keeps_jsons_meaning(void **unused)
{
	(void)unused;
	static const struct text_case cases[] = {
		{ "{\"a\":\"d\xc3\xa9j\xc3\xa0\\n\"}", "{\"a\":\"d\xc3\xa9j\xc3\xa0\\n\"}" },
		{ "\"\xc2\x9b\177\xe2\x80\xae\"", "\"\\u009b\\u007f\\u202e\"" },
		{ "\"\x9b"
		  "31m\"",
		  "\"\\ufffd31m\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(strbuf_free) struct strbuf out = { 0 };

		visible_text_append_json(&out, cases[i].text);
		assert_string_equal(out.text, cases[i].expected);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_become_visible_text),
		cmocka_unit_test(terminals_without_utf8_get_ascii_only),
		cmocka_unit_test(escaping_for_terminals_keeps_jsons_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
