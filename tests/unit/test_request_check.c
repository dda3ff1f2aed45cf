/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proto/request_check.h"
#include "varve.pb-c.h"

static const char *fault;

static const char *check(const void *bytes, size_t length)
{
	fault = "none";
	return request_check(&varve__v1__new_request__descriptor, bytes, length, &fault);
}

static void a_nul_byte_in_any_text_is_refused(void **unused)
{
	(void)unused;
	assert_null(check("", 0));
	assert_null(check("\x12\x03"
			  "abc"
			  "\x20\x00",
			  7)); /* description, retain = 0 */
	assert_string_equal(check("\x12\x03"
				  "a\0c",
				  5),
			    "description");
	assert_string_equal(fault, "must not contain NUL");
	assert_string_equal(check("\x3a\x02"
				  "x\0",
				  4),
			    "image_refs");
	/* A label, which is a message of a key and a value. */
	assert_null(check("\x2a\x06\x0a\x01k\x12\x01v", 8));
	assert_string_equal(check("\x2a\x06\x0a\x01k\x12\x01\0", 8), "value");
	/* Unknown fields may contain anything. */
	assert_null(check("\xfa\x07\x02\0\0", 5));
}

static void invalid_utf8_in_any_text_is_refused(void **unused)
{
	(void)unused;
	assert_null(check("\x12\x05"
			  "a\xc3\xa9\n\x01",
			  7));
	assert_string_equal(check("\x12\x02"
				  "a\xff",
				  4),
			    "description");
	assert_string_equal(fault, "is not valid UTF-8");
	assert_string_equal(check("\x12\x02"
				  "a\xc3",
				  4),
			    "description"); /* cut */
	assert_string_equal(check("\x2a\x06\x0a\x01\xed\x12\x01v", 8), "key");
	assert_null(check("\xfa\x07\x02\xff\xff", 5)); /* an unknown field */
}

/* Two bytes of a request become a message in memory, so lists need a limit. */
static void lists_with_too_many_items_are_refused(void **unused)
{
	size_t length = 2 * (REQUEST_CHECK_ITEMS_MAX + 1);
	cleanup(free_ptr) uint8_t *bytes = malloc(length);

	(void)unused;
	for (size_t i = 0; i < length; i += 2) {
		bytes[i] = i % 4 ? 0x3a : 0x2a; /* image_refs and labels, which are empty */
		bytes[i + 1] = 0;
	}
	assert_null(check(bytes, length - 2));
	assert_string_equal(check(bytes, length), "labels");
	assert_string_equal(fault, "has too many items");
}

/* Two bytes of a request become 80 in memory when the message does not have the field, or has it
 * once and the request repeats it. */
static void fields_that_the_message_has_no_place_for_have_a_limit(void **unused)
{
	/* An unknown number, an unknown text, and a number (retain) that is repeated. */
	static const uint8_t tags[] = { 0x78, 0x7a, 0x20 };
	size_t places = varve__v1__new_request__descriptor.n_fields;

	(void)unused;
	for (size_t t = 0; t < ARRAY_SIZE(tags); t++) {
		size_t length = 2 * (REQUEST_CHECK_ITEMS_MAX + places + 1);
		cleanup(free_ptr) uint8_t *bytes = calloc(1, length);

		for (size_t i = 0; i < length; i += 2)
			bytes[i] = tags[t];
		assert_null(check(bytes, 2 * (size_t)REQUEST_CHECK_ITEMS_MAX));
		assert_string_equal(check(bytes, length), "varve.v1.NewRequest");
		assert_string_equal(fault, "has too many fields");
	}
}

static void random_requests_do_no_harm(void **unused)
{
	unsigned seed = 1;

	(void)unused;
	for (int round = 0; round < 200000; round++) {
		size_t length = (size_t)rand_r(&seed) % 40;
		cleanup(free_ptr) uint8_t *bytes = malloc(length + 1);

		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)rand_r(&seed);
		(void)check(bytes, length); /* the sanitizers report accesses out of bounds */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nul_byte_in_any_text_is_refused),
		cmocka_unit_test(invalid_utf8_in_any_text_is_refused),
		cmocka_unit_test(lists_with_too_many_items_are_refused),
		cmocka_unit_test(fields_that_the_message_has_no_place_for_have_a_limit),
		cmocka_unit_test(random_requests_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
