/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/utf8.h"

static void every_character_is_the_same_after_encoding_and_decoding(void **unused)
{
	(void)unused;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		uint32_t back = UINT32_MAX;
		char bytes[UTF8_MAX];
		size_t size;

		if (c == 0xd800)
			c = 0xe000; /* surrogates are not characters */
		size = utf8_encode(c, bytes);
		if (utf8_decode(bytes, size, &back) != size || back != c)
			fail_msg("U+%04X came back as U+%04X", c, back);
		for (size_t cut = 0; cut < size; cut++)
			assert_int_equal(utf8_decode(bytes, cut, &back), 0);
	}
}

static void numbers_that_are_not_characters_are_replaced(void **unused)
{
	(void)unused;
	static const uint32_t none[] = { 0xd800, 0xdfff, 0x110000, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		char bytes[UTF8_MAX];

		assert_int_equal(utf8_encode(none[i], bytes), 3);
		assert_memory_equal(bytes, "\xef\xbf\xbd", 3);
	}
}

static void malformed_bytes_are_refused(void **unused)
{
	(void)unused;
	static const char *const cases[] = {
		"\x80",		"\xbf\x80",
		"\xc0\x80",	"\xc1\xbf",
		"\xc3(",	"\xe0\x9f\xbf",
		"\xe2\x82(",	"\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
		"\xf0\x9f\x98", "\xf4\x90\x80\x80",
		"\xf8\x88\x80", "\xfe",
		"\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t character = 7;

		assert_int_equal(utf8_decode(cases[i], strlen(cases[i]), &character), 0);
		assert_int_equal(character, 7);
	}
}

static void a_walk_over_broken_text_meets_each_character_and_each_stray_byte(void **unused)
{
	(void)unused;
	static const char text[] = "a\xc3\xa4\xe2\x82"
				   "b\xff\xf0\x9f\x98\x80\xc3";
	static const uint32_t expected[] = { 'a', 0xe4,	      UTF8_STRAY, UTF8_STRAY,
					     'b', UTF8_STRAY, 0x1f600,	  UTF8_STRAY };
	size_t at = 0, count = 0;

	while (at < sizeof(text) - 1) {
		uint32_t character = 0;

		at += utf8_next(text + at, sizeof(text) - 1 - at, &character);
		assert_true(count < ARRAY_SIZE(expected));
		assert_int_equal(character, expected[count++]);
	}
	assert_int_equal(count, ARRAY_SIZE(expected));
	assert_int_equal(at, sizeof(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_is_the_same_after_encoding_and_decoding),
		cmocka_unit_test(numbers_that_are_not_characters_are_replaced),
		cmocka_unit_test(malformed_bytes_are_refused),
		cmocka_unit_test(a_walk_over_broken_text_meets_each_character_and_each_stray_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
