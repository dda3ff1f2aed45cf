/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transport/grpc_frame.h"
#include "transport/grpc_status.h"

/* Three messages, read in pieces of every size. */
static void messages_are_read_from_pieces_of_any_size(void **unused)
{
	static const uint8_t stream[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\5hello";
	const size_t length = sizeof(stream) - 1;

	(void)unused;
	for (size_t piece = 1; piece <= length; piece++) {
		struct grpc_frame_reader r = { .max_message_bytes = 100 };
		char found[32] = "";

		for (size_t at = 0; at < length; at += piece) {
			const uint8_t *bytes = stream + at;
			size_t left = length - at < piece ? length - at : piece;

			while (left > 0) {
				assert_int_equal(grpc_frame_read(&r, &bytes, &left, NULL), 0);
				if (!grpc_frame_is_whole(&r))
					continue;
				strncat(found, (const char *)r.message ? (char *)r.message : "",
					r.received);
				strcat(found, ";");
				grpc_frame_next(&r);
			}
		}
		assert_string_equal(found, "abc;;hello;");
		assert_true(grpc_frame_is_empty(&r));
		grpc_frame_reader_free(&r);
	}
}

static void messages_that_are_too_long_or_compressed_are_refused(void **unused)
{
	static const struct {
		const char *bytes;
		int code;
	} cases[] = {
		{ "\1\0\0\0\1", -EOPNOTSUPP },
		{ "\0\0\0\0\x65", -EMSGSIZE },
		{ "\0\xff\xff\xff\xff", -EMSGSIZE },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct grpc_frame_reader r = { .max_message_bytes = 100 };
		const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
		size_t length = GRPC_FRAME_PREFIX_BYTES;
		struct error e = { 0 };

		assert_int_equal(grpc_frame_read(&r, &bytes, &length, &e), cases[i].code);
		assert_true(e.text[0] != '\0');
		grpc_frame_reader_free(&r);
	}
}

static void texts_are_the_same_after_encoding_and_decoding(void **unused)
{
	static const char *const texts[] = { "",    "plain", "50% \xc3\xa9\n\t\x7f\x01",
					     "%41", "%",     " blank ",
					     " " };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cleanup(free_ptr) char *encoded = grpc_frame_encode_text(texts[i]);
		cleanup(free_ptr) char *decoded = grpc_frame_decode_text(encoded, strlen(encoded));

		for (const char *c = encoded; *c; c++)
			assert_true(*c >= ' ' && *c < 0x7f);
		/* HTTP strips blanks at the ends of a value. */
		assert_true(!*encoded ||
			    (encoded[0] != ' ' && encoded[strlen(encoded) - 1] != ' '));
		assert_string_equal(decoded, texts[i]);
	}
}

static void invalid_percent_escapes_stay_as_they_are(void **unused)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = { { "a%20b", "a b" }, { "100%", "100%" }, { "%zz", "%zz" }, { "%00", "%00" } };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(free_ptr) char *decoded =
			grpc_frame_decode_text(cases[i].text, strlen(cases[i].text));

		assert_string_equal(decoded, cases[i].wanted);
	}
}

static void timeouts_are_parsed_and_invalid_ones_refused(void **unused)
{
	static const struct {
		const char *text;
		int code;
		int64_t ns;
	} cases[] = {
		{ "1S", 0, INT64_C(1000000000) },
		{ "250m", 0, INT64_C(250000000) },
		{ "2H", 0, INT64_C(7200000000000) },
		{ "3M", 0, INT64_C(180000000000) },
		{ "7u", 0, 7000 },
		{ "9n", 0, 9 },
		{ "99999999H", 0, INT64_MAX },
		{ "", -EINVAL, 0 },
		{ "S", -EINVAL, 0 },
		{ "10", -EINVAL, 0 },
		{ "-1S", -EINVAL, 0 },
		{ "123456789S", -EINVAL, 0 },
		{ "1x", -EINVAL, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ns = 0;

		assert_int_equal(grpc_frame_parse_timeout(cases[i].text, strlen(cases[i].text),
							  &ns),
				 cases[i].code);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void only_content_types_of_grpc_are_accepted(void **unused)
{
	static const struct {
		const char *text;
		bool wanted;
	} cases[] = {
		{ "application/grpc", true },
		{ "application/grpc+proto", true },
		{ "application/grpc;charset=utf-8", true },
		{ "application/grpc-web", false },
		{ "application/json", false },
		{ "", false },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(grpc_frame_is_content_type(cases[i].text, strlen(cases[i].text)),
				 cases[i].wanted);
}

/* The codes that the manager returns, and the statuses that containerd's clients expect for them.
 */
static void each_errno_has_its_grpc_status(void **unused)
{
	static const struct {
		int code, status;
	} cases[] = {
		{ 0, 0 },	   { -ECANCELED, 1 }, { -EINVAL, 3 },	   { -E2BIG, 3 },
		{ -ETIMEDOUT, 4 }, { -ENOENT, 5 },    { -EEXIST, 6 },	   { -EPERM, 7 },
		{ -EACCES, 7 },	   { -ENOSPC, 8 },    { -EDQUOT, 8 },	   { -EMFILE, 8 },
		{ -EBUSY, 9 },	   { -ENOTEMPTY, 9 }, { -EOPNOTSUPP, 12 }, { -ENOSYS, 12 },
		{ -EAGAIN, 14 },   { -EXDEV, 2 },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(grpc_status_from_errno(cases[i].code), cases[i].status);
	for (int status = 1; status <= 20; status++)
		assert_true(grpc_status_to_errno(status) < 0);
	assert_int_equal(grpc_status_to_errno(0), 0);
	assert_int_equal(grpc_status_to_errno(5), -ENOENT);
	assert_int_equal(grpc_status_to_errno(9), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_read_from_pieces_of_any_size),
		cmocka_unit_test(messages_that_are_too_long_or_compressed_are_refused),
		cmocka_unit_test(texts_are_the_same_after_encoding_and_decoding),
		cmocka_unit_test(invalid_percent_escapes_stay_as_they_are),
		cmocka_unit_test(timeouts_are_parsed_and_invalid_ones_refused),
		cmocka_unit_test(only_content_types_of_grpc_are_accepted),
		cmocka_unit_test(each_errno_has_its_grpc_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
