/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"

#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

struct parse_case {
	const char *text;
	int result;
	int64_t value;
};

static void sizes_are_parsed(void **unused)
{
	(void)unused;
	static const struct parse_case cases[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "512B", 0, 512 },
		{ "3MB", 0, 3000000 },
		{ "3mb", 0, 3000000 },
		{ "3M", 0, 3 * MIB },
		{ "3MiB", 0, 3 * MIB },
		{ "1.5G", 0, 3 * GIB / 2 },
		{ "1.5GiB", 0, 3 * GIB / 2 },
		{ "1.5 GiB", 0, 3 * GIB / 2 },
		{ "1.5GB", 0, 1500000000 },
		{ "0.0005k", 0, 1 }, /* 0.512 */
		{ "0.0004k", 0, 0 }, /* 0.4096 */
		{ "1.0005KB", 0, 1001 }, /* halves go up */
		{ "2T", 0, 2048 * GIB },
		{ "1PB", 0, INT64_C(1000000000000000) },
		{ "7E", 0, INT64_C(7) << 60 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "0.000000000000000001EB", 0, 1 },
		{ "10%", 0, 1234 }, /* of 12340 */
		{ "12.5%", 0, 1543 }, /* 1542.5 */
		{ "100%", 0, 12340 },
		{ "0%", 0, 0 },
		{ "100.01%", -ERANGE, 0 },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "8E", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999", -ERANGE, 0 },
		{ "9000000000000000000.999999999999999999E", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1  K", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "1.5B", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ ".5G", -EINVAL, 0 },
		{ "1..5G", -EINVAL, 0 },
		{ "1.0000000000000000001G", -EINVAL, 0 },
		{ "G", -EINVAL, 0 },
		{ "%", -EINVAL, 0 },
		{ "10 %", -EINVAL, 0 },
		{ "1GBB", -EINVAL, 0 },
		{ "1GG", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1,5G", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = -77;
		int r = units_parse_size(cases[i].text, 12340, &value);

		if (r != cases[i].result || value != (r < 0 ? -77 : cases[i].value))
			fail_msg("'%s': %d, %jd", cases[i].text, r, (intmax_t)value);
	}
}

static void a_share_needs_a_total(void **unused)
{
	(void)unused;
	int64_t value = -77;

	assert_int_equal(units_parse_size("10%", 0, &value), -EINVAL);
	assert_int_equal(value, -77);
	assert_int_equal(units_parse_size("100%", INT64_MAX, &value), 0);
	assert_true(value == INT64_MAX);
}

static void durations_are_parsed(void **unused)
{
	(void)unused;
	static const struct parse_case cases[] = {
		{ "0", 0, 0 },
		{ "90", 0, 90 * NS_PER_S },
		{ "1.5", 0, 3 * NS_PER_S / 2 },
		{ "90s", 0, 90 * NS_PER_S },
		{ "15m", 0, 900 * NS_PER_S },
		{ "72h", 0, 72 * 3600 * NS_PER_S },
		{ "7d", 0, 7 * 86400 * NS_PER_S },
		{ "1h30m", 0, 5400 * NS_PER_S },
		{ "1.5h", 0, 5400 * NS_PER_S },
		{ "1d2h3m4s5ms6us7ns", 0, INT64_C(93784005006007) },
		{ "0.3ns", 0, 0 },
		{ "0.5ns", 0, 1 },
		{ "9223372036854775807ns", 0, INT64_MAX },
		{ "9223372036854775807ns1ns", -ERANGE, 0 },
		{ "106752d", -ERANGE, 0 },
		{ "9999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
		{ "1h30", -EINVAL, 0 },
		{ "1h 30m", -EINVAL, 0 },
		{ "1H", -EINVAL, 0 },
		{ "1w", -EINVAL, 0 },
		{ "1s.", -EINVAL, 0 },
		{ "1.s", -EINVAL, 0 },
		{ "1sx", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = -77;
		int r = units_parse_duration(cases[i].text, &value);

		if (r != cases[i].result || value != (r < 0 ? -77 : cases[i].value))
			fail_msg("'%s': %d, %jd", cases[i].text, r, (intmax_t)value);
	}
}

static void sizes_are_formatted(void **unused)
{
	(void)unused;
	static const struct {
		int64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 1, "1 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 1025, "1.001 KiB" },
		{ 1536, "1.5 KiB" },
		{ 16 * MIB / 5, "3.2 MiB" },
		{ 10 * KIB - 1, "9.999 KiB" },
		{ 10 * MIB - 1, "10 MiB" },
		{ 100 * MIB - 1, "100 MiB" },
		{ 123 * MIB + 460 * KIB, "123.4 MiB" },
		{ 1000 * KIB, "1000 KiB" },
		{ MIB - 513, "1023 KiB" },
		{ MIB - 512, "1 MiB" },
		{ MIB - 1, "1 MiB" },
		{ GIB - 1, "1 GiB" },
		{ INT64_MAX, "8 EiB" },
		{ -1536, "-1.5 KiB" },
		{ INT64_MIN, "-8 EiB" },
	};
	char buffer[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(units_format_size(cases[i].bytes, buffer), cases[i].text);
}

static void formatted_sizes_can_be_parsed(void **unused)
{
	(void)unused;
	char buffer[UNITS_TEXT_MAX];

	for (int64_t bytes = 1; bytes < INT64_MAX / 3; bytes = bytes * 3 + 7) {
		int64_t read = 0, error;

		assert_int_equal(units_parse_size(units_format_size(bytes, buffer), 0, &read), 0);
		error = read > bytes ? read - bytes : bytes - read;
		assert_true(error <= bytes / 1999); /* four places */
	}
}

static void times_are_formatted(void **unused)
{
	(void)unused;
	static const struct {
		int64_t wall_ns;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ INT64_C(1714557600000000000), "2024-05-01T10:00:00Z" },
		{ INT64_C(1714557600250000000), "2024-05-01T10:00:00.25Z" },
		{ INT64_C(1714557600000000001), "2024-05-01T10:00:00.000000001Z" },
		{ INT64_C(1709164799999999999), "2024-02-28T23:59:59.999999999Z" },
		{ -1, "1969-12-31T23:59:59.999999999Z" },
		{ INT64_MAX, "2262-04-11T23:47:16.854775807Z" },
		{ INT64_MIN, "1677-09-21T00:12:43.145224192Z" },
	};
	char buffer[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(units_format_time(cases[i].wall_ns, buffer), cases[i].text);
}

static void times_are_parsed(void **unused)
{
	(void)unused;
	static const struct {
		const char *text;
		int64_t wall_ns; /* -1: refused */
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2024-05-01T10:00:00Z", INT64_C(1714557600000000000) },
		{ "2024-05-01t12:00:00.25+02:00", INT64_C(1714557600250000000) },
		{ "2024-05-01 03:30:00-06:30", INT64_C(1714557600000000000) },
		{ "2024-02-29T00:00:00.000000001999Z", INT64_C(1709164800000000001) },
		{ "2262-04-11T23:47:16.854775807Z", INT64_MAX },
		{ "2262-04-11T23:47:16.854775808Z", -1 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "0001-01-01T00:00:00Z", -1 },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "2024-13-01T00:00:00Z", -1 },
		{ "2024-05-01T24:00:00Z", -1 },
		{ "2024-05-01T10:00:00", -1 },
		{ "2024-05-01T10:00:00.Z", -1 },
		{ "2024-05-01T10:00:00Z ", -1 },
		{ "2024-05-01T10:00:00+2:00", -1 },
		{ "2024-5-01T10:00:00Z", -1 },
		{ "2024-05-01", -1 },
		{ "yesterday", -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ns = 42;
		int r = units_parse_time(cases[i].text, &ns);

		if ((r == 0) != (cases[i].wall_ns >= 0))
			fail_msg("'%s': %d", cases[i].text, r);
		assert_int_equal(ns, r == 0 ? cases[i].wall_ns : 42);
	}
}

static void ages_are_formatted(void **unused)
{
	(void)unused;
	static const int64_t now = INT64_C(1714557600) * NS_PER_S;
	static const struct {
		int64_t ago_s;
		const char *text;
	} cases[] = {
		{ 0, "just now" },
		{ 1, "1 second ago" },
		{ 3, "3 seconds ago" },
		{ 59, "59 seconds ago" },
		{ 60, "1 minute ago" },
		{ 119, "1 minute ago" },
		{ 3599, "59 minutes ago" },
		{ 3600, "1 hour ago" },
		{ 2 * 86400, "2 days ago" },
		{ 7 * 86400, "1 week ago" },
		{ 65 * 86400, "2 months ago" },
		{ 800 * 86400, "2 years ago" },
		{ -1, "in 1 second" },
		{ -240, "in 4 minutes" },
	};
	char buffer[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(units_format_age(now - cases[i].ago_s * NS_PER_S, now, buffer),
				    cases[i].text);
	assert_string_equal(units_format_age(now + NS_PER_S / 2, now, buffer), "just now");
	assert_string_equal(units_format_age(0, now, buffer), "never");
	assert_string_equal(units_format_age(INT64_MIN, INT64_MAX, buffer), "584 years ago");
	assert_string_equal(units_format_age(INT64_MAX, INT64_MIN, buffer), "in 584 years");
}

static void rough_durations_are_formatted(void **unused)
{
	(void)unused;
	static const struct {
		double seconds;
		const char *text;
	} cases[] = { { 0, "less than 0.1 s" },	 { 0.26, "0.3 s" },
		      { 40.4, "40 s" },		 { 119, "119 s" },
		      { 720, "12 min" },	 { 4 * 3600 + 100, "4 h" },
		      { 9.2 * 86400, "9 days" }, { 3 * 365.0 * 86400, "3 years" },
		      { 1e300, "centuries" },	 { INFINITY, "centuries" } };
	char buffer[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(units_format_about(cases[i].seconds, buffer), cases[i].text);
}

static void shares_are_parsed(void **unused)
{
	(void)unused;
	double share = -1;

	assert_int_equal(units_parse_share("12.5%", &share), 0);
	assert_true(share == 0.125);
	assert_int_equal(units_parse_share("100%", &share), 0);
	assert_true(share == 1);
	assert_int_equal(units_parse_share("100.01%", &share), -ERANGE);
	assert_int_equal(units_parse_share("10", &share), -EINVAL);
	assert_int_equal(units_parse_share("-1%", &share), -EINVAL);
	assert_int_equal(units_parse_share("%", &share), -EINVAL);
}

static void formatted_durations_can_be_parsed(void **unused)
{
	(void)unused;
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0ns" },
		{ 1, "1ns" },
		{ 1500, "1500ns" },
		{ 2000, "2us" },
		{ 1500000000, "1500ms" },
		{ 90 * NS_PER_S, "90s" },
		{ 5400 * NS_PER_S, "90m" },
		{ 48 * 3600 * NS_PER_S, "2d" },
		{ 49 * 3600 * NS_PER_S, "49h" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buffer[UNITS_TEXT_MAX];
		int64_t ns;

		assert_string_equal(units_format_duration(cases[i].ns, buffer), cases[i].text);
		assert_int_equal(units_parse_duration(buffer, &ns), 0);
		assert_int_equal(ns, cases[i].ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_parsed),
		cmocka_unit_test(a_share_needs_a_total),
		cmocka_unit_test(durations_are_parsed),
		cmocka_unit_test(sizes_are_formatted),
		cmocka_unit_test(formatted_sizes_can_be_parsed),
		cmocka_unit_test(times_are_formatted),
		cmocka_unit_test(times_are_parsed),
		cmocka_unit_test(ages_are_formatted),
		cmocka_unit_test(shares_are_parsed),
		cmocka_unit_test(rough_durations_are_formatted),
		cmocka_unit_test(formatted_durations_can_be_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
