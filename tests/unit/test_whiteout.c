/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "layer/beneath.h"
#include "layer/whiteout.h"

static void whiteouts_are_told_by_their_names(void **state)
{
	static const struct {
		const char *path;
		enum whiteout_kind kind;
		const char *name;
	} cases[] = {
		{ "", WHITEOUT_NONE, NULL },
		{ "a", WHITEOUT_NONE, NULL },
		{ "a/.wh", WHITEOUT_NONE, NULL },
		{ "a/x.wh.y", WHITEOUT_NONE, NULL },
		{ ".wh.a", WHITEOUT_OF_NAME, "a" },
		{ "a/b/.wh.c", WHITEOUT_OF_NAME, "c" },
		{ ".wh. ", WHITEOUT_OF_NAME, " " },
		{ ".wh....", WHITEOUT_OF_NAME, "..." },
		{ ".wh..a", WHITEOUT_OF_NAME, ".a" },
		{ ".wh..wh", WHITEOUT_OF_NAME, ".wh" },
		{ ".wh..wh..opq", WHITEOUT_OF_ALL, NULL },
		{ "a/.wh..wh..opq", WHITEOUT_OF_ALL, NULL },
		{ ".wh..wh.plnk", WHITEOUT_METADATA, NULL },
		{ ".wh..wh..opq2", WHITEOUT_METADATA, NULL },
		{ ".wh..wh.plnk/1.2", WHITEOUT_METADATA, NULL },
		{ "a/.wh..wh.orph/b/.wh.c", WHITEOUT_METADATA, NULL },
		{ ".wh.", WHITEOUT_INVALID, NULL },
		{ "a/.wh..", WHITEOUT_INVALID, NULL },
		{ "a/.wh...", WHITEOUT_INVALID, NULL },
		{ ".wh.a/b", WHITEOUT_INVALID, NULL },
		{ ".wh.a/.wh.b", WHITEOUT_INVALID, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = NULL;

		assert_int_equal(whiteout_of(cases[i].path, &name), cases[i].kind);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
	}
	assert_true(whiteout_is_reserved(".wh.x"));
	assert_false(whiteout_is_reserved(".whx"));
}

static void paths_are_cleaned_and_must_stay_inside(void **state)
{
	static const struct {
		const char *path, *clean; /* NULL: leads out */
	} cases[] = {
		{ "", "" },
		{ ".", "" },
		{ "./", "" },
		{ "/", "" },
		{ "///a", "a" },
		{ "./a/./b/", "a/b" },
		{ "a//b", "a/b" },
		{ "...", "..." },
		{ "..a/b..", "..a/b.." },
		{ "..", NULL },
		{ "a/..", "" },
		{ "../a", NULL },
		{ "a/../b", "b" },
		{ "/..", NULL },
		{ "./../a", NULL },
		{ "a/b/../c", "a/c" },
		{ "a/../..", NULL },
		{ "a/./../../b/..", NULL },
		{ "ab/cd/../../e", "e" },
	};
	char clean[BENEATH_PATH_SIZE], long_path[BENEATH_PATH_SIZE + 1];
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = beneath_clean(cases[i].path, clean, &e);

		assert_int_equal(r, cases[i].clean ? 0 : -EPERM);
		if (cases[i].clean)
			assert_string_equal(clean, cases[i].clean);
	}
	memset(long_path, 'a', sizeof(long_path));
	long_path[BENEATH_PATH_SIZE] = '\0';
	assert_int_equal(beneath_clean(long_path, clean, &e), -ENAMETOOLONG);
	long_path[BENEATH_PATH_SIZE - 1] = '\0';
	assert_int_equal(beneath_clean(long_path, clean, &e), 0);
	assert_string_equal(clean, long_path);
}

static void control_characters_in_names_are_escaped(void **state)
{
	char shown[BENEATH_SHOWN_SIZE], name[1000];

	(void)state;
	assert_string_equal(beneath_show("a b", shown), "'a b'");
	assert_string_equal(beneath_show("\x1b[31m\n\xff\\", shown), "'\\x1b[31m\\x0a\\xff\\x5c'");
	memset(name, '\n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	beneath_show(name, shown);
	assert_string_equal(shown + strlen(shown) - 8, "\\x0a...'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whiteouts_are_told_by_their_names),
		cmocka_unit_test(paths_are_cleaned_and_must_stay_inside),
		cmocka_unit_test(control_characters_in_names_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
