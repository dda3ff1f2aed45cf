/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/cleanup.h"

#define UNITS_ABOUT_MAX_S (1000 * 365 * 86400.0)
#define MAX_DECIMALS 18 /* times the largest unit this still fits into 128 bits */

/* A decimal number is kept exactly: digits / 10^decimals. */
struct decimal {
	__int128 digits;
	__int128 scale; /* 10^decimals */
};

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", INT64_C(1) << 10 },
	{ "KiB", INT64_C(1) << 10 },
	{ "KB", INT64_C(1000) },
	{ "M", INT64_C(1) << 20 },
	{ "MiB", INT64_C(1) << 20 },
	{ "MB", INT64_C(1000000) },
	{ "G", INT64_C(1) << 30 },
	{ "GiB", INT64_C(1) << 30 },
	{ "GB", INT64_C(1000000000) },
	{ "T", INT64_C(1) << 40 },
	{ "TiB", INT64_C(1) << 40 },
	{ "TB", INT64_C(1000000000000) },
	{ "P", INT64_C(1) << 50 },
	{ "PiB", INT64_C(1) << 50 },
	{ "PB", INT64_C(1000000000000000) },
	{ "E", INT64_C(1) << 60 },
	{ "EiB", INT64_C(1) << 60 },
	{ "EB", INT64_C(1000000000000000000) },
};

static const struct unit duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", NS_PER_S },
	{ "m", 60 * NS_PER_S },
	{ "h", 3600 * NS_PER_S },
	{ "d", 86400 * NS_PER_S },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits with an optional fraction and moves *text behind them. */
static int read_decimal(const char **text, struct decimal *ret)
{
	struct decimal d = { .scale = 1 };
	const char *at = *text;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		d.digits = d.digits * 10 + (*at - '0');
		if (d.digits > INT64_MAX)
			return -ERANGE;
	}
	if (*at == '.') {
		at++;
		if (!is_digit(*at))
			return -EINVAL;
		for (int decimals = 0; is_digit(*at); at++) {
			if (++decimals > MAX_DECIMALS)
				return -EINVAL;
			d.digits = d.digits * 10 + (*at - '0');
			d.scale *= 10;
		}
	}
	*text = at;
	*ret = d;
	return 0;
}

/* d * factor / divisor, to the nearest whole number, halves up. */
static int scale_decimal(struct decimal d, int64_t factor, int64_t divisor, int64_t *ret_value)
{
	__int128 product, scale = d.scale * divisor;

	if (__builtin_mul_overflow(d.digits, (__int128)factor, &product))
		return -ERANGE;
	product = product / scale + (product % scale >= (scale + 1) / 2);
	if (product > INT64_MAX)
		return -ERANGE;
	*ret_value = (int64_t)product;
	return 0;
}

int units_parse_size(const char *text, int64_t whole_bytes, int64_t *ret_bytes)
{
	struct decimal d;
	int code = read_decimal(&text, &d);

	if (code < 0)
		return code;
	if (strcmp(text, "%") == 0) {
		if (whole_bytes <= 0)
			return -EINVAL;
		if (d.digits > 100 * d.scale)
			return -ERANGE;
		return scale_decimal(d, whole_bytes, 100, ret_bytes);
	}
	if (*text == ' ' && text[1] != '\0')
		text++; /* as units_format_size() writes it */
	for (size_t i = 0; i < ARRAY_SIZE(size_units); i++) {
		const struct unit *unit = &size_units[i];

		if (strcasecmp(text, unit->name) != 0)
			continue;
		if (unit->factor == 1 && d.scale > 1)
			return -EINVAL; /* bytes have no fraction */
		return scale_decimal(d, unit->factor, 1, ret_bytes);
	}
	return -EINVAL;
}

int units_parse_share(const char *text, double *ret_share)
{
	struct decimal d;
	int code = read_decimal(&text, &d);

	if (code < 0)
		return code;
	if (strcmp(text, "%") != 0)
		return -EINVAL;
	if (d.digits > 100 * d.scale)
		return -ERANGE;
	*ret_share = (double)d.digits / (double)d.scale / 100;
	return 0;
}

int units_parse_duration(const char *text, int64_t *ret_ns)
{
	bool first = true;
	int64_t total = 0;

	do {
		const struct unit *unit = NULL;
		struct decimal d;
		int64_t part;
		size_t letters;
		int code = read_decimal(&text, &d);

		if (code < 0)
			return code;
		if (first && *text == '\0')
			return scale_decimal(d, NS_PER_S, 1, ret_ns);
		first = false;

		letters = strcspn(text, "0123456789.");
		for (size_t i = 0; i < ARRAY_SIZE(duration_units) && !unit; i++)
			if (strlen(duration_units[i].name) == letters &&
			    strncmp(text, duration_units[i].name, letters) == 0)
				unit = &duration_units[i];
		if (!unit)
			return -EINVAL;
		text += letters;
		code = scale_decimal(d, unit->factor, 1, &part);
		if (code < 0)
			return code;
		if (__builtin_add_overflow(total, part, &total))
			return -ERANGE;
	} while (*text != '\0');
	*ret_ns = total;
	return 0;
}

/* Cuts the zeros behind a decimal point, and the point with them. */
static void trim_zeros(char *text)
{
	size_t length = strlen(text);

	if (!strchr(text, '.'))
		return;
	while (text[length - 1] == '0')
		length--;
	if (text[length - 1] == '.')
		length--;
	text[length] = '\0';
}

const char *units_format_size(int64_t bytes, char buffer[UNITS_TEXT_MAX])
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t magnitude = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
	const char *sign = bytes < 0 ? "-" : "";
	unsigned __int128 rounded;
	uint64_t power = 1;
	size_t unit = 0, length;
	int decimals;

	while (unit < ARRAY_SIZE(names) - 1 && magnitude / power >= 1024) {
		power <<= 10;
		unit++;
	}
	for (;;) {
		uint64_t whole = magnitude / power;

		decimals = unit == 0 || whole >= 1000 ? 0 : whole >= 100 ? 1 : whole >= 10 ? 2 : 3;
		rounded = magnitude;
		for (int i = 0; i < decimals; i++)
			rounded *= 10;
		rounded = (rounded + power / 2) / power;
		/* 1023.7 KiB would become 1024 KiB. */
		if (rounded < 1024 || decimals > 0 || unit == ARRAY_SIZE(names) - 1)
			break;
		power <<= 10;
		unit++;
	}

	if (decimals == 0) {
		(void)snprintf(buffer, UNITS_TEXT_MAX, "%s%" PRIu64, sign, (uint64_t)rounded);
	} else {
		uint64_t scale = decimals == 1 ? 10 : decimals == 2 ? 100 : 1000;

		(void)snprintf(buffer, UNITS_TEXT_MAX, "%s%" PRIu64 ".%0*" PRIu64, sign,
			       (uint64_t)rounded / scale, decimals, (uint64_t)rounded % scale);
		trim_zeros(buffer);
	}
	length = strlen(buffer);
	(void)snprintf(buffer + length, UNITS_TEXT_MAX - length, " %s", names[unit]);
	return buffer;
}

/* printf takes most of the time of a long listing. */
static char *put_number(char *at, int64_t number, int digits, char after)
{
	for (int i = digits - 1; i >= 0; i--) {
		at[i] = (char)('0' + number % 10);
		number /= 10;
	}
	at[digits] = after;
	return at + digits + 1;
}

const char *units_format_time(int64_t wall_ns, char buffer[UNITS_TEXT_MAX])
{
	time_t seconds = wall_ns / NS_PER_S;
	int64_t rest = wall_ns % NS_PER_S;
	char *at = buffer;
	struct tm tm;

	if (rest < 0) { /* before 1970 the fraction still counts forward */
		rest += NS_PER_S;
		seconds--;
	}
	(void)gmtime_r(&seconds, &tm); /* 64 bits of nanoseconds end within its years */
	at = put_number(at, tm.tm_year + 1900, 4, '-');
	at = put_number(at, tm.tm_mon + 1, 2, '-');
	at = put_number(at, tm.tm_mday, 2, 'T');
	at = put_number(at, tm.tm_hour, 2, ':');
	at = put_number(at, tm.tm_min, 2, ':');
	at = put_number(at, tm.tm_sec, 2, '.');
	at = put_number(at, rest, 9, '\0') - 1;
	while (at[-1] == '0') /* as far as the point */
		at--;
	if (at[-1] == '.')
		at--;
	*at++ = 'Z';
	*at = '\0';
	return buffer;
}

/* The two or four digits at *at, and what has to follow them unless it is '\0'; moves on. */
static int take_number(const char **at, int digits, char follows, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return -EINVAL;
		number = number * 10 + (**at - '0');
	}
	*ret_number = number;
	if (follows == '\0')
		return 0;
	return *(*at)++ == follows ? 0 : -EINVAL;
}

static int take_fraction(const char **at, int64_t *ret_ns)
{
	int64_t unit = NS_PER_S;

	*ret_ns = 0;
	if (**at != '.')
		return 0;
	for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
		unit /= 10;
		*ret_ns += (**at - '0') * unit;
	}
	return (*at)[-1] == '.' ? -EINVAL : 0;
}

static int take_offset(const char **at, int64_t *ret_seconds)
{
	int sign = **at == '-' ? -1 : 1, hours, minutes;

	*ret_seconds = 0;
	if (**at == 'Z' || **at == 'z') {
		(*at)++;
		return 0;
	}
	if (**at != '+' && **at != '-')
		return -EINVAL;
	(*at)++;
	if (take_number(at, 2, ':', &hours) < 0 || take_number(at, 2, '\0', &minutes) < 0 ||
	    hours > 23 || minutes > 59)
		return -EINVAL;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return 0;
}

static bool is_real_date(const struct tm *given)
{
	struct tm tm = *given; /* timegm turns a 31st of April into the 1st of May */

	(void)timegm(&tm);
	return tm.tm_mday == given->tm_mday && tm.tm_mon == given->tm_mon && given->tm_hour < 24 &&
	       given->tm_min < 60 && given->tm_sec <= 60;
}

int units_parse_time(const char *text, int64_t *ret_wall_ns)
{
	struct tm tm = { 0 };
	int64_t fraction, offset, ns;
	const char *at = text;

	if (take_number(&at, 4, '-', &tm.tm_year) < 0 || take_number(&at, 2, '-', &tm.tm_mon) < 0 ||
	    take_number(&at, 2, '\0', &tm.tm_mday) < 0 || (*at != 'T' && *at != 't' && *at != ' '))
		return -EINVAL;
	at++;
	if (take_number(&at, 2, ':', &tm.tm_hour) < 0 || take_number(&at, 2, ':', &tm.tm_min) < 0 ||
	    take_number(&at, 2, '\0', &tm.tm_sec) < 0 || take_fraction(&at, &fraction) < 0 ||
	    take_offset(&at, &offset) < 0 || *at != '\0')
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!is_real_date(&tm))
		return -EINVAL;
	if (__builtin_mul_overflow((int64_t)timegm(&tm) - offset, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, fraction, &ns) || ns < 0)
		return -ERANGE;
	*ret_wall_ns = ns;
	return 0;
}

const char *units_format_duration(int64_t ns, char buffer[UNITS_TEXT_MAX])
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "d", 86400 * NS_PER_S }, { "h", 3600 * NS_PER_S },  { "m", 60 * NS_PER_S },
		{ "s", NS_PER_S },	   { "ms", NS_PER_S / 1000 }, { "us", 1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (ns == 0 || ns % units[i].ns != 0)
			continue;
		(void)snprintf(buffer, UNITS_TEXT_MAX, "%" PRId64 "%s", ns / units[i].ns,
			       units[i].name);
		return buffer;
	}
	(void)snprintf(buffer, UNITS_TEXT_MAX, "%" PRId64 "ns", ns);
	return buffer;
}

const char *units_format_about(double seconds, char buffer[UNITS_TEXT_MAX])
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = { { "years", 365 * 86400.0 }, { "days", 86400 }, { "h", 3600 }, { "min", 60 } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!(seconds >= 2 * units[i].seconds))
			continue;
		if (seconds > UNITS_ABOUT_MAX_S)
			(void)snprintf(buffer, UNITS_TEXT_MAX, "centuries");
		else
			(void)snprintf(buffer, UNITS_TEXT_MAX, "%.0f %s",
				       seconds / units[i].seconds, units[i].name);
		return buffer;
	}
	if (seconds < 0.1)
		(void)snprintf(buffer, UNITS_TEXT_MAX, "less than 0.1 s");
	else
		(void)snprintf(buffer, UNITS_TEXT_MAX, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
	return buffer;
}

const char *units_format_age(int64_t wall_ns, int64_t now_ns, char buffer[UNITS_TEXT_MAX])
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} spans[] = {
		{ "year", 365 * 86400 }, { "month", 30 * 86400 }, { "week", 7 * 86400 },
		{ "day", 86400 },	 { "hour", 3600 },	  { "minute", 60 },
		{ "second", 1 },
	};
	bool ahead = wall_ns > now_ns;
	uint64_t distance_ns = ahead ? (uint64_t)wall_ns - (uint64_t)now_ns
				     : (uint64_t)now_ns - (uint64_t)wall_ns;
	uint64_t seconds = distance_ns / (uint64_t)NS_PER_S;

	if (wall_ns == 0) {
		(void)snprintf(buffer, UNITS_TEXT_MAX, "never");
		return buffer;
	}
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		uint64_t number = seconds / spans[i].seconds;

		if (number == 0)
			continue;
		(void)snprintf(buffer, UNITS_TEXT_MAX, "%s%" PRIu64 " %s%s%s", ahead ? "in " : "",
			       number, spans[i].name, number == 1 ? "" : "s", ahead ? "" : " ago");
		return buffer;
	}
	(void)snprintf(buffer, UNITS_TEXT_MAX, "just now");
	return buffer;
}
