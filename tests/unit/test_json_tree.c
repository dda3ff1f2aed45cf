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
#include <jansson.h>

#include "simulate/json_tree.h"

#define LONGEST 400 /* bytes of a text */

static int parse(struct json_tree *t, const char *text, size_t length, char buffer[LONGEST + 8])
{
	memcpy(buffer, text, length);
	buffer[length] = '\0';
	return json_tree_parse(t, buffer, length);
}

static void members_are_found_with_their_values(void **unused)
{
	cleanup(json_tree_free) struct json_tree t = { .values = NULL };
	const struct json_value *v;
	char buffer[LONGEST + 8];
	const char text[] = " { \"a\" : [ 1, -2.5e1 , \"x\" ] , \"b\":{},\"c\":true,\"n\":null,"
			    "\"t\":\"\\u00e9\\n\\ud83d\\ude00\\\"\",\"c\":false,\"\":7}\r\n";

	(void)unused;
	assert_int_equal(parse(&t, text, sizeof(text) - 1, buffer), 0);
	assert_int_equal(t.values->kind, JSON_TREE_OBJECT);
	v = json_tree_find(&t, t.values, "a");
	assert_int_equal(v->count, 3);
	v = json_tree_first(&t, v);
	assert_true(v->kind == JSON_TREE_INTEGER && v->integer == 1);
	v = json_tree_next(&t, v);
	assert_true(v->kind == JSON_TREE_REAL && v->number < -24.9 && v->number > -25.1);
	v = json_tree_next(&t, v);
	assert_string_equal(v->text, "x");
	assert_null(json_tree_next(&t, v));
	assert_null(json_tree_first(&t, json_tree_find(&t, t.values, "b")));
	assert_int_equal(json_tree_find(&t, t.values, "c")->kind,
			 JSON_TREE_FALSE); /* the last one */
	assert_int_equal(json_tree_find(&t, t.values, "n")->kind, JSON_TREE_NULL);
	assert_string_equal(json_tree_find(&t, t.values, "t")->text,
			    "\xc3\xa9\n\xf0\x9f\x98\x80\"");
	assert_int_equal(json_tree_find(&t, t.values, "")->integer, 7);
	assert_null(json_tree_find(&t, t.values, "d"));
}

static void a_fault_names_its_byte(void **unused)
{
	static const struct {
		const char *text;
		size_t at;
	} cases[] = { { "", 0 },
		      { "{", 1 },
		      { "{\"a\"}", 4 },
		      { "{\"a\":01}", 6 },
		      { "{} x", 3 },
		      { "[1,]", 3 },
		      { "[\"\\x\"]", 3 },
		      { "[\"\xff\"]", 2 },
		      { "[\"a\nb\"]", 3 },
		      { "[1 2]", 3 },
		      { "[9999999999999999999]", 20 },
		      { "[1e999]", 6 },
		      { "[\"\\u0000\"]", 8 } };
	cleanup(json_tree_free) struct json_tree t = { .values = NULL };
	char buffer[LONGEST + 8];

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *text = cases[i].text;

		assert_int_equal(parse(&t, text, strlen(text), buffer), -EINVAL);
		assert_int_equal(t.fault_at, cases[i].at);
		assert_non_null(t.fault);
	}
}

static void a_text_that_is_nested_too_deeply_is_refused(void **unused)
{
	cleanup(json_tree_free) struct json_tree t = { .values = NULL };
	char text[LONGEST + 1], buffer[LONGEST + 8];

	(void)unused;
	memset(text, '[', LONGEST);
	assert_int_equal(parse(&t, text, LONGEST, buffer), -EINVAL);
	assert_string_equal(t.fault, "nested too deeply");
}

/* ---- against jansson, an implementation that others have written ---- */

static void assert_same(const struct json_tree *t, const struct json_value *v, const json_t *other);

static void assert_same_members(const struct json_tree *t, const struct json_value *v,
				const json_t *other)
{
	json_t *member;
	const char *key;
	size_t at;

	if (json_is_object(other)) {
		assert_int_equal(v->kind, JSON_TREE_OBJECT);
		json_object_foreach((json_t *)other, key, member)
		{
			assert_non_null(json_tree_find(t, v, key));
			assert_same(t, json_tree_find(t, v, key), member);
		}
		return;
	}
	assert_int_equal(v->kind, JSON_TREE_ARRAY);
	assert_int_equal(v->count, json_array_size(other));
	v = json_tree_first(t, v);
	json_array_foreach(other, at, member)
	{
		assert_non_null(v);
		assert_same(t, v, member);
		v = json_tree_next(t, v);
	}
	assert_null(v);
}

static void assert_same(const struct json_tree *t, const struct json_value *v, const json_t *other)
{
	if (json_is_object(other) || json_is_array(other)) {
		assert_same_members(t, v, other);
	} else if (json_is_string(other)) {
		assert_int_equal(v->kind, JSON_TREE_TEXT);
		assert_string_equal(v->text, json_string_value(other));
	} else if (json_is_integer(other)) {
		assert_int_equal(v->kind, JSON_TREE_INTEGER);
		assert_true(v->integer == json_integer_value(other));
	} else if (json_is_real(other)) {
		assert_int_equal(v->kind, JSON_TREE_REAL);
		assert_memory_equal(&v->number, &(double){ json_real_value(other) },
				    sizeof(double));
	} else {
		assert_int_equal(v->kind, json_is_null(other)	? JSON_TREE_NULL
					  : json_is_true(other) ? JSON_TREE_TRUE
								: JSON_TREE_FALSE);
	}
}

static unsigned chance(unsigned *state, unsigned below)
{
	*state = *state * 1664525U + 1013904223U;
	return (*state >> 8) % below;
}

/* A few bytes are changed, removed or doubled. */
static size_t damage(char *text, size_t length, unsigned *state)
{
	static const char bytes[] = "{}[]\",:\\u0019eE+-. \t\ntrue\xc3\xa9\xed\xa0\x80\xf4";

	for (unsigned n = chance(state, 4); n > 0 && length > 1 && length < LONGEST; n--) {
		size_t at = chance(state, (unsigned)length);

		switch (chance(state, 3)) {
		case 0:
			text[at] = bytes[chance(state, sizeof(bytes) - 1)];
			break;
		case 1:
			memmove(text + at, text + at + 1, --length - at);
			break;
		default:
			memmove(text + at + 1, text + at, length - at);
			length++;
			text[at] = bytes[chance(state, sizeof(bytes) - 1)];
		}
	}
	return length;
}

static void every_text_is_read_as_by_another_implementation(void **unused)
{
	static const char *const texts[] = {
		"{\"t\":1.5e3,\"id\":\"a\\u00e9\\ud83d\\ude00\",\"op\":\"use\",\"size\":-12}",
		"{\"labels\":{\"a\":\"b\",\"c\":\"\\\\\\/\"},\"parents\":[\"x\",null,true]}",
		"[0,-0,0.25,1E-2,[[],{}],\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\", false ]",
	};
	cleanup(json_tree_free) struct json_tree t = { .values = NULL };
	char text[LONGEST + 8], buffer[LONGEST + 8];
	unsigned state = 1, accepted = 0;
	json_error_t fault;

	(void)unused;
	for (unsigned i = 0; i < 30000; i++) {
		size_t length = strlen(texts[i % 3]);
		json_t *other;
		int code;

		memcpy(text, texts[i % 3], length);
		length = damage(text, length, &state);
		other = json_loadb(text, length, 0, &fault);
		code = parse(&t, text, length, buffer);
		if (code == 0 && !other) /* jansson wants an array or object */
			assert_true(t.values->kind < JSON_TREE_ARRAY);
		if (other) {
			assert_int_equal(code, 0);
			assert_same(&t, t.values, other);
			accepted++;
		}
		json_decref(other);
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_with_their_values),
		cmocka_unit_test(a_fault_names_its_byte),
		cmocka_unit_test(a_text_that_is_nested_too_deeply_is_refused),
		cmocka_unit_test(every_text_is_read_as_by_another_implementation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
