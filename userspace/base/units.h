/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, durations and times as people write and read them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT_MAX 40

/* "512", "3MB" (10^6), "1.5G", "1.5GiB" and "1.5 GiB" (2^30), in capitals or not; "10%" of
 * whole_bytes (which is refused when whole_bytes is 0). Never negative. -EINVAL, -ERANGE. */
int units_parse_size(const char *text, int64_t whole_bytes, int64_t *ret_bytes);
/* "10%", "12.5%" as 0.1 and 0.125, at most 100%. -EINVAL, -ERANGE. */
int units_parse_share(const char *text, double *ret_share);
/* "90s", "15m", "72h", "7d", "1h30m", "1.5h", and "ms", "us", "ns"; a bare number is seconds.
 * -EINVAL, -ERANGE. */
int units_parse_duration(const char *text, int64_t *ret_ns);
/* "48h", "7d", "1500ms": in the largest unit that gives a whole number; units_parse_duration reads
 * it. */
const char *units_format_duration(int64_t ns, char buffer[UNITS_TEXT_MAX]);
/* "3.2 MiB", at most four significant places. */
const char *units_format_size(int64_t bytes, char buffer[UNITS_TEXT_MAX]);
/* RFC 3339 in UTC, without trailing zeros: "2024-05-01T10:00:00.25Z". */
const char *units_format_time(int64_t wall_ns, char buffer[UNITS_TEXT_MAX]);
/* RFC 3339, with any offset from UTC; finer fractions than nanoseconds are cut. -EINVAL; -ERANGE:
 * before 1970 or after 2261. */
int units_parse_time(const char *text, int64_t *ret_wall_ns);
/* "less than 0.1 s", "0.3 s", "40 s", "12 min", "4 h", "9 days", "3 years", "centuries": rounded.
 */
const char *units_format_about(double seconds, char buffer[UNITS_TEXT_MAX]);
/* "3 seconds ago", "2 days ago", "in 4 minutes", "just now"; "never" for 0. */
const char *units_format_age(int64_t wall_ns, int64_t now_ns, char buffer[UNITS_TEXT_MAX]);
