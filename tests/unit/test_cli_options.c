/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "cli/cli_options.h"

#define MAX_ARGUMENTS 12

static const struct cli_option dig_options[] = {
	{ 'n', "number", "N", "how many" }, /* a letter of a global option */
	{ 'v', "verbose", NULL, "long form" }, /* a letter and a name of one */
	{ 0, "filter", "FILTER", "which" },
	{ 0, NULL, NULL, NULL },
};

static const struct cli_verb dig = {
	.name = "dig",
	.arguments = "ID",
	.min_words = 1,
	.max_words = 2,
	.options = dig_options,
};
static const struct cli_verb list = { .name = "ls", .arguments = "" };
static const struct cli_verb lease_list = { .name = "lease ls", .arguments = "" };
static const struct cli_verb lease_make = {
	.name = "lease create",
	.arguments = "NAME",
	.min_words = 1,
	.max_words = 1,
};
static const struct cli_verb *const verbs[] = { &dig, &list, &lease_list, &lease_make, NULL };

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

/* Returns the parsed line as a text, for the table. */
static char *describe(const struct cli_line *line)
{
	const struct cli_globals *g = &line->globals;
	struct strbuf b = { 0 };

	strbuf_append(&b, line->verb ? line->verb->name : or_dash(line->family));
	strbuf_append(&b, g->json ? " json" : "");
	strbuf_append(&b, g->bytes ? " bytes" : "");
	strbuf_append(&b, g->no_headings ? " no-headings" : "");
	strbuf_append(&b, g->quiet ? " quiet" : "");
	strbuf_append(&b, g->no_truncation ? " no-trunc" : "");
	strbuf_append(&b, g->verbose ? " verbose" : "");
	strbuf_append(&b, g->help ? " help" : "");
	strbuf_append(&b, g->version ? " version" : "");
	if (g->address)
		strbuf_appendf(&b, " address=%s", g->address);
	if (g->columns)
		strbuf_appendf(&b, " columns=%s", g->columns);
	if (g->color != CLI_COLOR_AUTO)
		strbuf_appendf(&b, " color=%d", g->color);
	for (size_t i = 0; i < line->given_count; i++)
		strbuf_appendf(&b, " %d:%s", line->given[i].option, or_dash(line->given[i].value));
	for (size_t i = 0; i < line->word_count; i++)
		strbuf_appendf(&b, " '%s'", line->words[i]);
	return strbuf_take(&b);
}

struct line_case {
	const char *line; /* split at blanks; _ is an empty argument */
	const char *expected; /* what describe() says, or part of the error's text */
};

/* Splits a copy of the text, which the caller frees after the line: getopt reorders only the array.
 */
static int parse(const char *text, struct cli_line *ret_line, char **words, char **ret_copy,
		 struct error *e)
{
	int count = 0;

	*ret_copy = strdup(text);
	assert_non_null(*ret_copy);
	for (char *word = strtok(*ret_copy, " "); word; word = strtok(NULL, " ")) {
		assert_true(count < MAX_ARGUMENTS);
		words[count++] = strcmp(word, "_") == 0 ? word + 1 : word;
	}
	words[count] = NULL;
	return cli_options_parse(count, words, verbs, ret_line, e);
}

static void command_lines_are_parsed(void **unused)
{
	(void)unused;
	static const struct line_case cases[] = {
		{ "varve ls", "ls" },
		{ "varve --json ls", "ls json" },
		{ "varve ls --json", "ls json" },
		{ "varve -bn --no-trunc ls -q", "ls bytes no-headings quiet no-trunc" },
		{ "varve -H /s ls", "ls address=/s" },
		{ "varve --address=/a ls -H /b", "ls address=/b" },
		{ "varve ls -o ID,SIZE --color never", "ls columns=ID,SIZE color=2" },
		{ "varve --color=always ls", "ls color=1" },
		{ "varve -v ls -v", "ls verbose" },
		{ "varve dig x", "dig 'x'" },
		{ "varve dig x y", "dig 'x' 'y'" },
		{ "varve dig x -n 5", "dig 0:5 'x'" },
		{ "varve -n dig -n 5 x", "dig no-headings 0:5 'x'" },
		{ "varve dig --no-headings -n5 x", "dig no-headings 0:5 'x'" },
		{ "varve dig -v x", "dig 1:- 'x'" },
		{ "varve -v dig --verbose x", "dig verbose 1:- 'x'" },
		{ "varve dig --filter a --filter=b x", "dig 2:a 2:b 'x'" },
		{ "varve dig -- -x --json", "dig '-x' '--json'" },
		{ "varve dig - x", "dig '-' 'x'" },
		{ "varve lease ls", "lease ls" },
		{ "varve lease --json ls -q", "lease ls json quiet" },
		{ "varve -b lease create x", "lease create bytes 'x'" },
		{ "varve --help", "- help" },
		{ "varve -h", "- help" },
		{ "varve --version", "- version" },
		{ "varve dig --help", "dig help" },
		{ "varve dig x y z --help", "dig help 'x' 'y' 'z'" },
		{ "varve --help dig", "dig help" },
		{ "varve lease --help", "lease help" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cli_line line = { 0 };
		cleanup(free_ptr) char *copy = NULL, *found = NULL;
		char *words[MAX_ARGUMENTS + 1];
		struct error e = { 0 };

		if (parse(cases[i].line, &line, words, &copy, &e) < 0)
			fail_msg("%s: %s", cases[i].line, e.text);
		found = describe(&line);
		assert_non_null(found);
		if (strcmp(found, cases[i].expected) != 0)
			fail_msg("%s: '%s' instead of '%s'", cases[i].line, found,
				 cases[i].expected);
		cli_options_free(&line);
	}
}

static void invalid_command_lines_are_refused_with_a_hint(void **unused)
{
	(void)unused;
	static const struct line_case cases[] = {
		{ "varve", "no command given (see varve --help)" },
		{ "varve --json", "no command given (see varve --help)" },
		{ "varve dug", "unknown command 'dug' (see varve --help)" },
		{ "varve _", "unknown command '' (see varve --help)" },
		{ "varve lease", "no command given (see varve lease --help)" },
		{ "varve lease dug", "unknown command 'lease dug' (see varve lease --help)" },
		{ "varve lease lease", "unknown command 'lease lease'" },
		{ "varve leas ls", "unknown command 'leas'" },
		{ "varve --dug ls", "option '--dug' (see varve --help)" },
		{ "varve ls --dug", "option '--dug' (see varve ls --help)" },
		{ "varve ls -x", "option '-x' (see varve ls --help)" },
		{ "varve ls -bx", "option '-x' (see varve ls --help)" },
		{ "varve ls --no", "ambiguous option '--no'" },
		{ "varve ls --filter x", "option '--filter' (see varve ls --help)" },
		{ "varve -o", "option '-o' needs a value (see varve --help)" },
		{ "varve ls --output", "option '--output' needs a value (see varve ls --help)" },
		{ "varve ls --json=1", "option '--json=1' takes no value" },
		{ "varve ls --color red", "'red'" },
		{ "varve dig", "dig needs ID (see varve dig --help)" },
		{ "varve dig _", "an argument is empty (see varve dig --help)" },
		{ "varve dig --filter _ x",
		  "the value of option '--filter' is empty (see varve dig --help)" },
		{ "varve dig --filter= x", "option '--filter' is empty" },
		{ "varve dig -n _ x", "option '--number' is empty" },
		{ "varve dig x y z", "unexpected argument 'z' (see varve dig --help)" },
		{ "varve lease create", "lease create needs NAME (see varve lease create --help)" },
		{ "varve ls x", "unexpected argument 'x'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cli_line line = { 0 };
		cleanup(free_ptr) char *copy = NULL;
		char *words[MAX_ARGUMENTS + 1];
		struct error e = { 0 };

		if (parse(cases[i].line, &line, words, &copy, &e) != -EINVAL)
			fail_msg("%s was not refused", cases[i].line);
		if (!strstr(e.text, cases[i].expected))
			fail_msg("%s: '%s' instead of '%s'", cases[i].line, e.text,
				 cases[i].expected);
		assert_null(line.given);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines_are_parsed),
		cmocka_unit_test(invalid_command_lines_are_refused_with_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
