/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json_writer.h"

static void nested_values_are_written(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf out = { 0 };
	struct json_writer w = { .out = &out };

	json_open_object(&w, NULL);
	json_put_string(&w, "id", "abc");
	json_put_string(&w, "none", NULL);
	json_open_array(&w, "empty");
	json_close_array(&w);
	json_open_array(&w, "list");
	json_put_int(&w, NULL, INT64_MIN);
	json_put_uint(&w, NULL, UINT64_MAX);
	json_open_object(&w, NULL);
	json_close_object(&w);
	json_open_object(&w, NULL);
	json_put_bool(&w, "t", true);
	json_put_bool(&w, "f", false);
	json_close_object(&w);
	json_put_null(&w, NULL);
	json_close_array(&w);
	json_put_double(&w, "a \"key\"", 0.5);
	json_close_object(&w);
	assert_false(strbuf_failed(&out));
	assert_string_equal(out.text, "{\"id\":\"abc\",\"none\":null,\"empty\":[],"
				      "\"list\":[-9223372036854775808,18446744073709551615,{},"
				      "{\"t\":true,\"f\":false},null],\"a \\\"key\\\"\":0.5}");
}

/* A stream of documents: the caller ends each document and starts a new writer. */
static void several_documents_can_be_written_to_one_buffer(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf out = { 0 };

	for (int i = 0; i < 2; i++) {
		struct json_writer w = { .out = &out };

		json_open_array(&w, NULL);
		json_put_int(&w, NULL, i);
		json_close_array(&w);
		strbuf_append(&out, "\n");
	}
	assert_string_equal(out.text, "[0]\n[1]\n");
}

static void strings_are_escaped(void **unused)
{
	(void)unused;
	static const struct {
		const char *value, *text;
	} cases[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "\"\\/", "\"\\\"\\\\/\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"" },
		{ "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\"" },
		{ "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
		/* not UTF-8: alone, cut, overlong, a surrogate, too large */
		{ "a\x80z", "\"a\xef\xbf\xbdz\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc3\"", "\"\xef\xbf\xbd\\\"\"" },
		{ "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe0\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(strbuf_free) struct strbuf out = { 0 };
		struct json_writer w = { .out = &out };
		/* The value is on the heap, so that a sanitizer reports a read behind its end. */
		cleanup(free_ptr) char *value = strdup(cases[i].value);

		assert_non_null(value);
		json_put_string(&w, NULL, value);
		assert_string_equal(out.text, cases[i].text);
	}
}

static void doubles_are_short_and_exact(void **unused)
{
	(void)unused;
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ -1.5, "-1.5" },
		{ 0.1, "0.1" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 1e300, "1e+300" },
		{ 1.5e-300, "1.5e-300" },
		{ 9007199254740993.0, "9007199254740992" },
		{ 0.001, "0.001" },
		{ 0.0005, "0.0005" },
		{ 12.05, "12.05" },
		{ 12.1, "12.1" },
		{ -0.25, "-0.25" },
		{ 3086.1234, "3086.1234" },
		{ 999999999999.999, "999999999999.999" },
		{ 1e12, "1000000000000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(strbuf_free) struct strbuf out = { 0 };
		struct json_writer w = { .out = &out };

		json_put_double(&w, NULL, cases[i].value);
		assert_string_equal(out.text, cases[i].text);
		assert_true(strtod(out.text, NULL) == cases[i].value);
	}
}

static void integers_are_written_in_full(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf out = { 0 };
	struct json_writer w = { .out = &out };

	json_open_array(&w, NULL);
	json_put_int(&w, NULL, 0);
	json_put_int(&w, NULL, INT64_MIN);
	json_put_int(&w, NULL, INT64_MAX);
	json_put_uint(&w, NULL, UINT64_MAX);
	json_close_array(&w);
	assert_string_equal(out.text, "[0,-9223372036854775808,9223372036854775807,"
				      "18446744073709551615]");
}

static void numbers_that_json_lacks_become_null(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf out = { 0 };
	struct json_writer w = { .out = &out };

	json_open_array(&w, NULL);
	json_put_double(&w, NULL, NAN);
	json_put_double(&w, NULL, -INFINITY);
	json_close_array(&w);
	assert_string_equal(out.text, "[null,null]");
}

static void the_locale_does_not_change_numbers(void **unused)
{
	(void)unused;
	char directory[] = "/tmp/varve-locale-XXXXXX", command[100];
	cleanup(strbuf_free) struct strbuf out = { 0 };
	struct json_writer w = { .out = &out };

	assert_non_null(mkdtemp(directory));
	(void)snprintf(command, sizeof(command), "localedef -f UTF-8 -i de_DE %s/comma", directory);
	assert_int_equal(system(command), 0);
	assert_int_equal(setenv("LOCPATH", directory, 1), 0);
	assert_non_null(setlocale(LC_NUMERIC, "comma"));
	json_put_double(&w, NULL, -1234.5);
	(void)setlocale(LC_NUMERIC, "C");
	(void)snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
	assert_string_equal(out.text, "-1234.5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nested_values_are_written),
		cmocka_unit_test(several_documents_can_be_written_to_one_buffer),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(doubles_are_short_and_exact),
		cmocka_unit_test(integers_are_written_in_full),
		cmocka_unit_test(numbers_that_json_lacks_become_null),
		cmocka_unit_test(the_locale_does_not_change_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
