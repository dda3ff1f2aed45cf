/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

static void appended_text_is_in_the_buffer(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf b = { 0 };

	strbuf_append(&b, "");
	assert_string_equal(b.text, "");
	strbuf_append(&b, "one");
	strbuf_append_bytes(&b, " two!", 4);
	strbuf_appendf(&b, " %d %s", 3, "four");
	assert_string_equal(b.text, "one two 3 four");
	assert_int_equal(b.length, strlen(b.text));
	assert_false(strbuf_failed(&b));
}

static void nul_bytes_are_kept(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf b = { 0 };

	strbuf_append_bytes(&b, NULL, 0);
	strbuf_append_bytes(&b, "a\0b", 3);
	strbuf_append(&b, "c");
	assert_int_equal(b.length, 4);
	assert_memory_equal(b.text, "a\0bc", 5);
}

/* Every length up to several doublings of the capacity, with a NUL at the end each time. */
static void a_buffer_grows_byte_by_byte(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf b = { 0 };

	for (size_t i = 0; i < 5000; i++) {
		char c = (char)('a' + i % 26);

		if (i % 2)
			strbuf_append_bytes(&b, &c, 1);
		else
			strbuf_appendf(&b, "%c", c);
		assert_int_equal(b.length, i + 1);
		assert_int_equal(b.text[i], c);
		assert_int_equal(b.text[i + 1], '\0');
		assert_true(b.capacity > b.length);
	}
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(b.text[i], 'a' + i % 26);
}

static void reset_keeps_the_memory(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf b = { 0 };
	size_t capacity;

	strbuf_reset(&b); /* nothing yet */
	strbuf_appendf(&b, "%0200d", 7);
	capacity = b.capacity;
	strbuf_reset(&b);
	assert_int_equal(b.length, 0);
	assert_string_equal(b.text, "");
	assert_int_equal(b.capacity, capacity);
	strbuf_append(&b, "again");
	assert_string_equal(b.text, "again");
}

static void take_hands_the_text_over_and_empties_the_buffer(void **unused)
{
	(void)unused;
	struct strbuf b = { 0 };
	cleanup(free_ptr) char *empty = strbuf_take(&b);
	cleanup(free_ptr) char *text = NULL;

	assert_string_equal(empty, "");
	strbuf_append(&b, "mine");
	text = strbuf_take(&b);
	assert_string_equal(text, "mine");
	assert_null(b.text);
	assert_int_equal(b.length, 0);
	strbuf_free(&b);
}

static void a_failed_buffer_stays_failed(void **unused)
{
	(void)unused;
	struct strbuf b = { 0 };

	strbuf_append(&b, "before");
	strbuf_appendf(&b, "%lc", (wint_t)0x20ac); /* the C locale cannot encode it */
	assert_true(strbuf_failed(&b));
	strbuf_append(&b, "after");
	strbuf_appendf(&b, "%d", 1);
	assert_string_equal(b.text, "before");
	assert_true(strbuf_failed(&b));
	assert_null(strbuf_take(&b));
	assert_null(b.text); /* a failed take frees */
	assert_false(strbuf_failed(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_text_is_in_the_buffer),
		cmocka_unit_test(nul_bytes_are_kept),
		cmocka_unit_test(a_buffer_grows_byte_by_byte),
		cmocka_unit_test(reset_keeps_the_memory),
		cmocka_unit_test(take_hands_the_text_over_and_empties_the_buffer),
		cmocka_unit_test(a_failed_buffer_stays_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
