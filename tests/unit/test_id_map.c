// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/id_map.h"
#include "base/strbuf.h"

static void valid_maps_are_sorted(void **state)
{
	static const char *const cases[][2] = {
		{ "0:100000:65536", "0:100000:65536" },
		{ "0:0:4294967295", "0:0:4294967295" },
		{ "1:100001:65535,0:100000:1", "0:100000:1,1:100001:65535" },
		{ "10:5:5,0:10:10,20:0:5", "0:10:10,10:5:5,20:0:5" },
		{ "0:007:01,1:4294967294:1", "0:7:1,1:4294967294:1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(id_map_free) struct id_map map = { 0 };
		struct error e = { 0 };

		assert_int_equal(id_map_parse(cases[i][0], "0:0:1", &map, &e), 0);
		assert_string_equal(map.uids, cases[i][1]);
		assert_string_equal(map.gids, "0:0:1");
		assert_true(id_map_is_set(&map));
	}
}

static void invalid_maps_are_refused(void **state)
{
	static const struct {
		const char *list, *sentence;
	} cases[] = {
		{ "0", "CONTAINER:HOST:LENGTH" },
		{ "0:1", "CONTAINER:HOST:LENGTH" },
		{ "0:1:", "CONTAINER:HOST:LENGTH" },
		{ "0::1", "CONTAINER:HOST:LENGTH" },
		{ ":1:1", "CONTAINER:HOST:LENGTH" },
		{ "0:1:1:1", "CONTAINER:HOST:LENGTH" },
		{ "0:1:1,", "CONTAINER:HOST:LENGTH" },
		{ ",0:1:1", "CONTAINER:HOST:LENGTH" },
		{ "0:1:1 ", "CONTAINER:HOST:LENGTH" },
		{ "+0:1:1", "CONTAINER:HOST:LENGTH" },
		{ "-1:1:1", "CONTAINER:HOST:LENGTH" },
		{ "0x0:1:1", "CONTAINER:HOST:LENGTH" },
		{ "root:1:1", "CONTAINER:HOST:LENGTH" },
		{ "0:4294967296:1", "CONTAINER:HOST:LENGTH" },
		{ "0:99999999999999999999999:1", "CONTAINER:HOST:LENGTH" },
		{ "0:1:0", "at least one id" },
		{ "0:4294967295:1", "none above" },
		{ "0:1:4294967295", "none above" },
		{ "0:0:10,9:100:1", "0:0:10 and 9:100:1, which overlap" },
		{ "0:0:10,10:9:1", "overlap" },
		{ "0:0:10,0:0:10", "overlap" },
		{ "5:0:10,0:100:6", "overlap" },
		{ "1:1:1", "what 0 is shown as" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct id_map map = { 0 };
		struct error e = { 0 };

		assert_int_equal(id_map_parse("0:0:1", cases[i].list, &map, &e), -EINVAL);
		if (!strstr(e.text, cases[i].sentence) || !strstr(e.text, "group ids"))
			fail_msg("'%s': %s", cases[i].list, e.text);
		assert_false(id_map_is_set(&map));
	}
}

static void user_ids_and_group_ids_need_each_other(void **state)
{
	struct id_map map = { 0 };
	struct error e = { 0 };

	(void)state;
	assert_int_equal(id_map_parse(NULL, "", &map, &e), 0);
	assert_false(id_map_is_set(&map));
	assert_int_equal(id_map_parse("0:1:1", NULL, &map, &e), -EINVAL);
	assert_non_null(strstr(e.text, "user ids needs one of group ids"));
	assert_int_equal(id_map_parse("", "0:1:1", &map, &e), -EINVAL);
	assert_non_null(strstr(e.text, "group ids needs one of user ids"));
}

static char *list_of(size_t count, uint32_t first_host)
{
	struct strbuf text = { 0 };

	for (size_t i = 0; i < count; i++)
		strbuf_appendf(&text, "%s%zu:%zu:1", i ? "," : "", i, first_host + i);
	return strbuf_take(&text);
}

static void maps_beyond_the_kernels_limits_are_refused(void **state)
{
	cleanup(free_ptr) char *most = list_of(ID_MAP_EXTENTS_MAX, 1);
	cleanup(free_ptr) char *too_many = list_of(ID_MAP_EXTENTS_MAX + 1, 1);
	cleanup(free_ptr) char *too_long = list_of(ID_MAP_EXTENTS_MAX, 1000000000);
	cleanup(id_map_free) struct id_map map = { 0 };
	struct error e = { 0 };

	(void)state;
	assert_int_equal(id_map_parse(most, most, &map, &e), 0);
	assert_int_equal(id_map_parse(too_many, most, &map, &e), -EINVAL);
	assert_non_null(strstr(e.text, "340 ranges"));
	assert_int_equal(id_map_parse(too_long, most, &map, &e), -EINVAL);
	assert_non_null(strstr(e.text, "4094 bytes"));
}

static void maps_with_the_same_ranges_are_equal(void **state)
{
	cleanup(id_map_free) struct id_map a = { 0 };
	cleanup(id_map_free) struct id_map b = { 0 };
	cleanup(id_map_free) struct id_map copy = { 0 };
	struct id_map none = { 0 };

	(void)state;
	assert_int_equal(id_map_parse("0:1:1,1:7:2", "0:1:1", &a, NULL), 0);
	assert_int_equal(id_map_parse("1:7:2,0:1:1", "0:1:1", &b, NULL), 0);
	assert_true(id_map_equal(&a, &b));
	assert_int_equal(id_map_copy(&a, &copy), 0);
	assert_true(id_map_equal(&a, &copy));
	assert_false(id_map_equal(&a, &none));
	assert_true(id_map_equal(&none, &none));
	id_map_free(&b);
	assert_int_equal(id_map_parse("0:1:1", "0:1:1,1:7:2", &b, NULL), 0);
	assert_false(id_map_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_maps_are_sorted),
		cmocka_unit_test(invalid_maps_are_refused),
		cmocka_unit_test(user_ids_and_group_ids_need_each_other),
		cmocka_unit_test(maps_beyond_the_kernels_limits_are_refused),
		cmocka_unit_test(maps_with_the_same_ranges_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
