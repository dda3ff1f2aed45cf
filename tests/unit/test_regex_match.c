/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns match as in Go, in a time that is at most their size times the text's length. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "regex/regex_compile.h"
#include "regex/regex_match.h"

#define EXPECTED "tests/data/regex/expected.txt"

/* Replaces %XX by the byte, in place. */
static void unquote(char *text)
{
	char *out = text;
	unsigned byte;

	for (; *text; text++) {
		if (*text == '%') {
			assert_int_equal(sscanf(text + 1, "%2x", &byte), 1);
			*out++ = (char)byte;
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

static const char *verdict(const char *pattern, const char *text)
{
	cleanup(regex_program_free) struct regex_program *program = NULL;
	struct error e = { 0 };
	int code = regex_compile(pattern, &program, &e);

	if (code < 0) {
		assert_int_equal(code, -EINVAL);
		assert_null(program);
		assert_true(strlen(e.text) > 0);
		return "invalid";
	}
	return regex_match(program, text) ? "match" : "none";
}

static void patterns_match_what_they_match_in_go(void **unused)
{
	(void)unused;
	cleanup(close_file) FILE *file = fopen(EXPECTED, "re");
	char line[4096], copy[4096];
	unsigned cases = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *rest = line, *expected, *pattern, *text;

		line[strcspn(line, "\n")] = '\0';
		(void)strcpy(copy, line);
		expected = strsep(&rest, "\t");
		pattern = strsep(&rest, "\t");
		text = rest;
		assert_non_null(text);
		unquote(pattern);
		unquote(text);
		if (strcmp(verdict(pattern, text), expected) != 0)
			fail_msg("%s: %s:%u: %s", verdict(pattern, text), EXPECTED, cases + 1,
				 copy);
		cases++;
	}
	assert_true(cases > 2000);
}

static void escapes_groups_and_flags_mean_what_they_mean_in_go(void **unused)
{
	(void)unused;
	static const struct {
		const char *pattern, *text, *verdict;
	} cases[] = {
		{ "^\\d+$", "2024", "match" },
		{ "^\\d+$", "ddd", "none" },
		{ "^\\w+\\s\\w+$", "two words", "match" },
		{ "\\bcat\\b", "a cat sat", "match" },
		{ "\\bcat\\b", "concatenate", "none" },
		{ "(?i)^error$", "ErRoR", "match" },
		{ "^.$", "ä", "match" },
		{ "^..$", "ä", "none" },
		{ "^.$", "\n", "none" },
		{ "a$", "a\n", "none" },
		{ "^[^a]+?$", "bc\n", "match" },
		{ "(?P<year>\\d{4})-\\d\\d", "on 2024-05-01", "match" },
		{ "(?<year>\\d{4})", "2024", "match" }, /* since Go 1.22 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (strcmp(verdict(cases[i].pattern, cases[i].text), cases[i].verdict) != 0)
			fail_msg("'%s' on '%s' should be %s", cases[i].pattern, cases[i].text,
				 cases[i].verdict);
}

static void refused_patterns_are_explained(void **unused)
{
	(void)unused;
	static const struct {
		const char *pattern, *text;
	} cases[] = {
		{ "(a)\\1", "back references ('\\1') are not supported" },
		{ "\\p{Greek}", "Unicode classes ('\\p') are not supported" },
		{ "[\\PL]", "Unicode classes ('\\P') are not supported" },
		{ "(?i)é", "(?i) is not supported for characters beyond ASCII" },
		{ "(?i)[a-ÿ]", "(?i) is not supported for characters beyond ASCII" },
		{ "(?=a)", "looking ahead or behind is not supported" },
		{ "(?!a)", "looking ahead or behind is not supported" },
		{ "(?<=a)", "looking ahead or behind is not supported" },
		{ "(?<!a)", "looking ahead or behind is not supported" },
		{ "(?>a)", "invalid group '(?>'" },
		{ "(?x)a", "invalid group '(?x'" },
		{ "(?i", "invalid group '(?i'" },
		{ "(?P<>a)", "invalid group name after '(?P<'" },
		{ "\\y", "invalid escape '\\y'" },
		{ "\\xa", "invalid escape '\\x'" },
		{ "[\\b]", "invalid escape '\\b'" },
		{ "\\", "trailing backslash" },
		{ "\\ä", "a backslash before a character beyond ASCII" },
		{ "(a", "missing ')'" },
		{ "a)", "unexpected ')'" },
		{ "[a", "missing ']'" },
		{ "[]", "missing ']'" },
		{ "[z-a]", "invalid range 'z-a'" },
		{ "[[:letter:]]", "invalid class '[:letter:]'" },
		{ "*a", "nothing to repeat before '*'" },
		{ "a|+", "nothing to repeat before '+'" },
		{ "a**", "nested repetition '**'" },
		{ "a{2}{3}", "nested repetition '{2}{3}'" },
		{ "a{3,2}", "invalid repetition count '{3,2}'" },
		{ "a{1001}", "invalid repetition count '{1001}'" },
		{ "a{99999999999999999999}", "invalid repetition count '{99999999999999999999}'" },
		{ "(a{100}){100}", "too many repetitions (more than 2048 steps)" },
		{ "a\xff", "invalid UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct regex_program *program = NULL;
		struct error e = { 0 };

		if (regex_compile(cases[i].pattern, &program, &e) != -EINVAL || program)
			fail_msg("'%s' should be refused", cases[i].pattern);
		assert_string_equal(e.text, cases[i].text);
	}
}

/* Returns `before`, then `piece` repeated `times` times, then `after`. */
static char *repeat(const char *before, const char *piece, size_t times, const char *after)
{
	size_t length = strlen(piece);
	char *text = malloc(strlen(before) + times * length + strlen(after) + 1), *at;

	assert_non_null(text);
	at = stpcpy(text, before);
	for (size_t i = 0; i < times; i++)
		at = stpcpy(at, piece);
	(void)strcpy(at, after);
	return text;
}

/* Each of these keeps a backtracking matcher, or regcomp(3), busy for longer than a test may take.
 */
static void no_pattern_takes_exponential_time(void **unused)
{
	(void)unused;
	cleanup(free_ptr) char *text = repeat("", "a", 4000, "!");
	cleanup(free_ptr) char *optional = repeat("^", "a?", 500, "");
	cleanup(free_ptr) char *stars = repeat("^", "a*", 500, "$");
	cleanup(free_ptr) char *nested = repeat("", "(", 90, "a");
	cleanup(free_ptr) char *closed = repeat(nested, ")*", 90, "$");
	cleanup(free_ptr) char *deep = repeat("", "(", 101, "");
	cleanup(free_ptr) char *endless = repeat("", "(", 60000, "");

	assert_string_equal(verdict("^(a+)+$", text), "none");
	assert_string_equal(verdict("^(a|a)*$", text), "none");
	assert_string_equal(verdict("^(a|aa)+$", text), "none");
	assert_string_equal(verdict("^(.*)*\\d$", text), "none");
	assert_string_equal(verdict("((a?){30}){30}b", text), "none");
	assert_string_equal(verdict(stars, text), "none");
	assert_string_equal(verdict(optional, text), "match");
	assert_string_equal(verdict(closed, "aaa!"), "match");
	assert_string_equal(verdict(deep, ""), "invalid");
	assert_string_equal(verdict(endless, ""), "invalid");
	assert_string_equal(verdict("(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}", ""),
			    "invalid");
	assert_string_equal(
		verdict("(((((((((){1000}){1000}){1000}){1000}){1000}){1000})*)*)*", ""), "match");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_what_they_match_in_go),
		cmocka_unit_test(escapes_groups_and_flags_mean_what_they_mean_in_go),
		cmocka_unit_test(refused_patterns_are_explained),
		cmocka_unit_test(no_pattern_takes_exponential_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
