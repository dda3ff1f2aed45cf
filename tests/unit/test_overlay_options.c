/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "overlay/overlay_options.h"

static const char *const three[] = { "1f", "2a", "base" };

static const struct {
	struct overlay_spec spec;
	bool index;
	const char *options;
} strings[] = {
	{ { three, 3, "9", false, NULL },
	  false,
	  "metacopy=off,redirect_dir=off,index=off,upperdir=../layers/9/fs,"
	  "workdir=../layers/9/work,lowerdir=1f:2a:base" },
	{ { three, 1, "9", false, NULL },
	  true,
	  "metacopy=off,redirect_dir=off,index=on,upperdir=../layers/9/fs,"
	  "workdir=../layers/9/work,lowerdir=1f" },
	{ { three, 1, "9", true, NULL },
	  true,
	  "metacopy=off,redirect_dir=off,index=on,volatile,upperdir=../layers/9/fs,"
	  "workdir=../layers/9/work,lowerdir=1f" },
	{ { NULL, 0, "9", false, NULL },
	  false,
	  "metacopy=off,redirect_dir=off,index=off,upperdir=../layers/9/fs,"
	  "workdir=../layers/9/work,lowerdir=../empty" },
	/* Without an upper, the kernel would ignore index and volatile with a warning. */
	{ { three, 2, NULL, true, NULL }, true, "metacopy=off,redirect_dir=off,lowerdir=1f:2a" },
	{ { three, 1, NULL, false, NULL },
	  true,
	  "metacopy=off,redirect_dir=off,lowerdir=1f:../empty" },
};

static void mount_options_are_formatted(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		struct overlay_features features = { .index = strings[i].index };
		cleanup(free_ptr) char *text = NULL;
		struct error e = { 0 };

		assert_int_equal(overlay_options_check(&strings[i].spec, &e), 0);
		assert_int_equal(overlay_options_format(&features, &strings[i].spec, &text, &e), 0);
		assert_string_equal(text, strings[i].options);
	}
}

/* Returns `count` different names of `length` characters each. */
static char **make_names(size_t count, int length)
{
	char **names = calloc(count, sizeof(*names));

	assert_non_null(names);
	for (size_t i = 0; i < count; i++)
		assert_true(asprintf(&names[i], "%0*zx", length, i) == length);
	return names;
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static const struct {
	size_t count;
	int name_length;
	int check_result, format_result;
} depths[] = {
	{ OVERLAY_MAX_LOWERS, OVERLAY_LAYER_NAME_MAX, 0, 0 },
	{ OVERLAY_MAX_LOWERS + 1, 3, -EMFILE, 0 },
	{ OVERLAY_MAX_LOWERS, OVERLAY_LAYER_NAME_MAX + 2, 0, -ENAMETOOLONG },
	{ 5, 700, 0, 0 },
};

static void too_many_layers_and_too_long_options_are_refused(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		char **names = make_names(depths[i].count, depths[i].name_length);
		struct overlay_spec spec = { (const char *const *)names, depths[i].count, "ffffff",
					     true, NULL };
		struct overlay_features features = { .index = true, NULL };
		cleanup(free_ptr) char *text = NULL;
		struct error e = { 0 };

		assert_int_equal(overlay_options_check(&spec, &e), depths[i].check_result);
		if (depths[i].check_result == 0) {
			assert_int_equal(overlay_options_format(&features, &spec, &text, &e),
					 depths[i].format_result);
			assert_int_equal(text != NULL, depths[i].format_result == 0);
		}
		free_names(names, depths[i].count);
	}
}

/* The kernel takes a page of options: the text may fill it, and one byte more would cut the last
 * layer. */
static void options_may_fill_the_page_to_its_last_byte(void **unused)
{
	struct overlay_features features = { 0 };
	struct overlay_spec spec = { NULL, 1, NULL, false, NULL };
	cleanup(free_ptr) char *short_text = NULL;
	char name[OVERLAY_OPTIONS_MAX + 2];
	const char *lower = "a";
	size_t rest;

	(void)unused;
	spec.lowers = &lower;
	assert_int_equal(overlay_options_format(&features, &spec, &short_text, NULL), 0);
	rest = OVERLAY_OPTIONS_MAX - strlen(short_text) + 1;
	for (size_t length = rest; length <= rest + 1; length++) {
		cleanup(free_ptr) char *text = NULL;

		memset(name, 'a', length);
		name[length] = '\0';
		lower = name;
		assert_int_equal(overlay_options_format(&features, &spec, &text, NULL),
				 length == rest ? 0 : -ENAMETOOLONG);
		if (text)
			assert_int_equal(strlen(text), OVERLAY_OPTIONS_MAX);
	}
}

static const char *const bad_names[] = {
	"", ".", "..", "a/b", "a:b", "a,b", "a\\b", "a b", "a=b", "ä",
};

static void layer_names_with_special_characters_are_refused(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++) {
		const char *lowers[] = { "fine", bad_names[i] };
		struct overlay_spec as_lower = { lowers, 2, "9", false, NULL };
		struct overlay_spec as_upper = { lowers, 1, bad_names[i], false, NULL };
		struct error e = { 0 };

		assert_int_equal(overlay_options_check(&as_lower, &e), -EINVAL);
		assert_non_null(strstr(e.text, bad_names[i]));
		assert_int_equal(overlay_options_check(&as_upper, &e), -EINVAL);
	}
}

static void a_mount_without_any_layer_is_refused(void **unused)
{
	struct overlay_spec spec = { 0 };
	struct error e = { 0 };

	(void)unused;
	assert_int_equal(overlay_options_check(&spec, &e), -EINVAL);
	assert_string_equal(e.text, "a read-only mount needs a layer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mount_options_are_formatted),
		cmocka_unit_test(too_many_layers_and_too_long_options_are_refused),
		cmocka_unit_test(options_may_fill_the_page_to_its_last_byte),
		cmocka_unit_test(layer_names_with_special_characters_are_refused),
		cmocka_unit_test(a_mount_without_any_layer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
