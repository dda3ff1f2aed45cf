/* SPDX-License-Identifier: Apache-2.0 */
/* B55: containerd's filter grammar, and the comparisons beyond it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/record_filter.h"

struct pair {
	const char *path, *text;
};

/* The parts of a path are joined by dots. */
static const struct pair record[] = {
	{ "id", "abc" },
	{ "description", "mount / from exec /bin/sh -c \"make all\"" },
	{ "type", "regular" },
	{ "empty", "" },
	{ "mutable", "true" },
	{ "size", "10485760" },
	{ "age", "5400000000000" },
	{ "opens", "18446744073709551615" },
	{ "ratio", "0.25" },
	{ "negative", "-3" },
	{ "labels.foo", "omg_asdf.asdf-qwer" },
	{ "labels.a.b", "c" },
	{ "labels.very \"complex\" label", "ä, yes" },
	{ "made-up_1", "x" },
};

static const char *field_of(const char *const *path, size_t parts, char *buffer, size_t size,
			    void *user)
{
	unsigned *asked = user;
	size_t used = 0;

	(*asked)++;
	buffer[0] = '\0';
	for (size_t i = 0; i < parts; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? "." : "", path[i]);
	for (size_t i = 0; i < ARRAY_SIZE(record); i++)
		if (strcmp(record[i].path, buffer) == 0)
			return record[i].text;
	return NULL;
}

static bool matches(const char *const *filters, size_t count)
{
	cleanup(record_filter_free) struct record_filter *f = NULL;
	struct error e = { 0 };
	unsigned asked = 0;

	if (record_filter_parse(filters, count, &f, &e) < 0)
		fail_msg("'%s' was refused: %s", filters[0], e.text);
	return record_filter_match(f, field_of, &asked);
}

static void selectors_match_the_right_records(void **unused)
{
	(void)unused;
	static const struct {
		const char *filter;
		bool matches;
	} cases[] = {
		{ "", true },
		/* presence */
		{ "id", true },
		{ "empty", true },
		{ "nothing", false },
		{ "labels.foo", true },
		{ "labels.bar", false },
		{ "labels.\"a.b\"", true },
		{ "labels.a.b", true },
		{ "\"labels\".\"a\".b", true },
		{ "labels.\"very \\\"complex\\\" label\"", true },
		{ "made-up_1", true },
		/* equal, not equal */
		{ "id==abc", true },
		{ "id==abcd", false },
		{ "id == abc", true },
		{ " id==\tabc", true },
		{ "labels. foo", true },
		{ "id!=abc", false },
		{ "id!=x", true },
		{ "nothing!=x", true },
		{ "nothing!=\"\"", false },
		{ "nothing==\"\"", false },
		{ "empty==\"\"", true },
		{ "labels.foo==omg_asdf.asdf-qwer", true },
		{ "labels.\"very \\\"complex\\\" label\"==\"ä, yes\"", true },
		{ "id==a=b!=c", false },
		{ "id==<abc>", false },
		{ "labels.\"a.b\"==c,id==abc", true },
		{ "id==abc,type==internal", false },
		{ "id==abc, type==regular", true },
		{ "id==abc,mutable,size", true },
		/* escapes */
		{ "id==\"\\x61\\142\\u0063\"", true },
		{ "id==\"\\U00000061bc\"", true },
		{ "labels.\"very \\\"complex\\\" label\"==\"\\u00e4, yes\"", true },
		{ "labels.\"very \\\"complex\\\" label\"==\"\\xc3\\xa4, yes\"", true },
		{ "id==\"abc\\n\"", false },
		/* regular expressions */
		{ "id~=b", true },
		{ "id~=^b", false },
		{ "id~=^[a-c]{3}$", true },
		{ "id~=/^[a-c]{1,3}$/", true },
		{ "id~=|^(x\\|abc)$|", true },
		{ "id~=\"^a.c$\"", true },
		{ "description~=/from exec \\/bin\\/sh/", true },
		{ "description~=|from exec /bin/sh|", true },
		{ "labels.foo~=/asdf\\\\.asdf/", true },
		{ "labels.foo~=/g\\\\.asdf/", false },
		{ "nothing~=x", false },
		{ "nothing~=^$", true },
		{ "size~=^\\d+$", true },
		{ "id~=^\\d+$", false },
		{ "size~=\"^\\\\d+$\"", true },
		{ "description~=(?i)MAKE", true },
		/* numbers */
		{ "size>10MB", true },
		{ "size>=10MiB", true },
		{ "size>10MiB", false },
		{ "size<=10M", true },
		{ "size<10M", false },
		{ "size<\"1 GiB\"", true },
		{ "size>10485759.5", true },
		{ "size > 10485759,size < 10485761", true },
		{ "age>1h", true },
		{ "age>1h30m", false },
		{ "age>=1h30m", true },
		{ "age<2h,age>89m", true },
		{ "opens>18446744073709551614", true },
		{ "opens>=18446744073709551615", true },
		{ "opens<18446744073709551615", false },
		{ "ratio<0.250000001", true },
		{ "ratio>0.249999999", true },
		{ "ratio<=0.25", true },
		{ "negative<-2", true },
		{ "negative<0", true },
		{ "negative>-2.5", false },
		/* absent or not a number: no comparison holds */
		{ "nothing<1", false },
		{ "nothing>=0", false },
		{ "id<1", false },
		{ "id>=0", false },
		{ "empty>=0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (matches(&cases[i].filter, 1) != cases[i].matches)
			fail_msg("'%s' should %smatch", cases[i].filter,
				 cases[i].matches ? "" : "not ");
}

static void several_filters_match_when_one_does(void **unused)
{
	(void)unused;
	const char *const none[] = { "id==x", "type==internal,id==abc", "nothing" };
	const char *const last[] = { "id==x", "id==abc,type==internal", "id==abc,type==regular" };
	const char *const with_empty[] = { "id==x", "" };

	assert_true(matches(NULL, 0));
	assert_false(matches(none, ARRAY_SIZE(none)));
	assert_true(matches(last, ARRAY_SIZE(last)));
	assert_true(matches(with_empty, ARRAY_SIZE(with_empty)));
}

static void malformed_filters_are_refused_and_quoted(void **unused)
{
	(void)unused;
	static const struct {
		const char *filter, *text;
	} cases[] = {
		{ "name==", "filter 'name==': expected a value at position 7" },
		{ "name==,x", "filter 'name==,x': expected a value at position 7" },
		{ "name== =x", "filter 'name== =x': expected a value at position 8" },
		{ "name==.x", "filter 'name==.x': expected a value at position 7" },
		{ ",", "filter ',': expected a field name at position 1" },
		{ " ", "filter ' ': expected a field name at position 2" },
		{ "a,", "filter 'a,': expected a field name at position 3" },
		{ "a..b", "filter 'a..b': expected a field name at position 3" },
		{ "labels.", "filter 'labels.': expected a field name at position 8" },
		{ "labels.?x", "filter 'labels.?x': expected a field name at position 8" },
		{ "labels.|foo|==x",
		  "filter 'labels.|foo|==x': a field name can be quoted with \" only, not with | at position 8" },
		{ "id==/x/", "filter 'id==/x/': only the value of ~= can be quoted with / "
			     "at position 5" },
		{ "id=x",
		  "filter 'id=x': expected an operator (==, !=, ~=, <, <=, > or >=) at position 3" },
		{ "id===x",
		  "filter 'id===x': expected an operator (==, !=, ~=, <, <=, > or >=) at position 3" },
		{ "id x",
		  "filter 'id x': expected an operator (==, !=, ~=, <, <=, > or >=) at position 4" },
		{ "id==a b", "filter 'id==a b': expected a comma at position 6" },
		{ "id==\"a\"b", "filter 'id==\"a\"b': expected a comma at position 8" },
		{ "id==\"a", "filter 'id==\"a': unclosed quote at position 5" },
		{ "id~=/a\n/", "filter 'id~=/a?/': unclosed quote at position 5" },
		{ "id==\"\\q\"", "filter 'id==\"\\q\"': invalid escape at position 6" },
		{ "id==\"\\/\"", "filter 'id==\"\\/\"': invalid escape at position 6" },
		{ "id==\"\\x4\"", "filter 'id==\"\\x4\"': invalid escape at position 6" },
		{ "id==\"\\400\"", "filter 'id==\"\\400\"': invalid escape at position 6" },
		{ "id==\"\\000\"", "filter 'id==\"\\000\"': invalid escape at position 6" },
		{ "id==\"\\U00110000\"",
		  "filter 'id==\"\\U00110000\"': invalid escape at position 6" },
		{ "id==\"\\", "filter 'id==\"\\': invalid escape at position 6" },
		{ "id==a\xff", "filter 'id==a\xff': invalid UTF-8 at position 6" },
		{ "id==\"\xc3\"", "filter 'id==\"\xc3\"': invalid UTF-8 at position 6" },
		{ "id~=(", "filter 'id~=(': missing ')' in the regular expression at position 5" },
		{ "id~=(a)\\1",
		  "filter 'id~=(a)\\1': back references ('\\1') are not supported in the regular "
		  "expression at position 5" },
		{ "size>many",
		  "filter 'size>many': expected a number, a size or a duration at position 6" },
		{ "size>10%",
		  "filter 'size>10%': expected a number, a size or a duration at position 6" },
		{ "size><3",
		  "filter 'size><3': expected a number, a size or a duration at position 6" },
		{ "size>9999999T", "filter 'size>9999999T': the value is too large at position 6" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const filters[] = { "id==abc", cases[i].filter };
		struct record_filter *f = NULL;
		struct error e = { 0 };

		assert_int_equal(record_filter_parse(filters, 2, &f, &e), -EINVAL);
		assert_null(f);
		assert_string_equal(e.text, cases[i].text);
	}
}

static void costly_expressions_are_refused(void **unused)
{
	(void)unused;
	static const char *const refused[] = {
		"id~=(a{100}){100}",
		"id~=/a{1,9999999999999}/",
		"id~=/a{1001,}/",
		"id~=a{1000}b{1000}c{1000}",
		"id~=(a{40}){40}(b{40}){40}",
		"id~=a{1000},id~=b{1000},id~=c{1000},id~=d{1000},id~=e{1000}",
	};
	static const char *const allowed[] = {
		"id~=^[0-9a-f]{64}$",
		"id~=([]}{)(]+|[^]{99999}]|[[:alpha:]{999}])*x",
		"id~=\\(\\{99999\\}",
		"id~=((((((((((a+)+)+)+)+)+)+)+)+)+)+",
		"id~=(((((x)))))",
		"id~=a{1000}",
		"id~=|^(a\\|b\\|c+)(d{2,3})?|",
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct record_filter *f = NULL;
		struct error e = { 0 };

		assert_int_equal(record_filter_parse(&refused[i], 1, &f, &e), -EINVAL);
		assert_true(strstr(e.text, "too many repetitions") ||
			    strstr(e.text, "invalid repetition count") ||
			    strstr(e.text, "more than 4096 steps together"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		(void)matches(&allowed[i], 1); /* fails when it is refused */
}

static void filters_and_regular_expressions_are_limited(void **unused)
{
	(void)unused;
	static char longest[65536 + 2], many[65 * 5 + 1];
	const char *filters[] = { longest, "a" };
	struct record_filter *f = NULL;
	struct error e = { 0 };

	memset(longest, 'a', 65536);
	assert_int_equal(record_filter_parse(filters, 1, &f, &e), 0);
	record_filter_free(f);
	f = NULL;
	assert_int_equal(record_filter_parse(filters, 2, &f, &e), -E2BIG);
	longest[65536] = 'a';
	assert_int_equal(record_filter_parse(filters, 1, &f, &e), -E2BIG);

	/* An error about a long filter quotes its beginning, cut between two characters. */
	longest[500] = '\0';
	longest[499] = '=';
	memcpy(longest + 199, "ä", 2);
	assert_int_equal(record_filter_parse(filters, 1, &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "a…': expected an operator"));
	assert_true(strlen(e.text) < 400);

	for (size_t i = 0; i < 65; i++)
		(void)strcpy(many + 5 * i, "a~=b,");
	many[64 * 5 - 1] = '\0';
	filters[0] = many;
	assert_int_equal(record_filter_parse(filters, 1, &f, &e), 0);
	record_filter_free(f);
	f = NULL;
	many[64 * 5 - 1] = ',';
	many[65 * 5 - 1] = '\0';
	assert_int_equal(record_filter_parse(filters, 1, &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "more than 64 regular expressions"));
	assert_null(f);
}

/* The sanitizers report accesses out of bounds. */
static void random_filters_do_no_harm(void **unused)
{
	(void)unused;
	static const char alphabet[] = "ab.,=!~<>\"/|\\x41u0 {}()[]+*3M\xc3\xa4\n";
	uint64_t state = 99;
	unsigned accepted = 0, asked = 0;

	for (unsigned round = 0; round < 100000; round++) {
		cleanup(free_ptr) char *text = calloc(1, 25);
		const char *filter = text;
		struct record_filter *f = NULL;
		struct error e = { 0 };

		assert_non_null(text);
		for (unsigned i = 0; i < round % 24; i++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			text[i] = alphabet[(state >> 33) % (sizeof(alphabet) - 1)];
		}
		if (record_filter_parse(&filter, 1, &f, &e) == 0) {
			(void)record_filter_match(f, field_of, &asked);
			accepted++;
		} else {
			assert_int_equal(e.code, -EINVAL);
		}
		record_filter_free(f);
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_match_the_right_records),
		cmocka_unit_test(several_filters_match_when_one_does),
		cmocka_unit_test(malformed_filters_are_refused_and_quoted),
		cmocka_unit_test(costly_expressions_are_refused),
		cmocka_unit_test(filters_and_regular_expressions_are_limited),
		cmocka_unit_test(random_filters_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
