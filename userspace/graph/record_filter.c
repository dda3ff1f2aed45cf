/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_filter.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/vec.h"
#include "graph/filter_scan.h"
#include "regex/regex_compile.h"
#include "regex/regex_match.h"

#define MAX_BYTES (64 << 10) /* of all filters together, which bounds everything else */
#define MAX_REGEXES 64
#define MAX_REGEX_STEPS 4096 /* of all of them: the time that a match takes for each character */
#define CHEAP_SELECTORS 16
#define FIELD_TEXT_MAX 256 /* what a field's callback may need to make up a text */
#define WHOLE_DIGITS 20 /* of a number: a 64-bit counter */
#define DECIMALS 9

/* Numbers are compared in billionths, so that 64-bit counters and nanoseconds stay exact. */
#define BILLION 1000000000

enum comparison {
	FIELD_PRESENT,
	FIELD_EQUAL,
	FIELD_NOT_EQUAL,
	FIELD_MATCHES,
	FIELD_LESS,
	FIELD_LESS_EQUAL,
	FIELD_GREATER,
	FIELD_GREATER_EQUAL,
};

static const char *const operators[] = {
	[FIELD_EQUAL] = "==",	      [FIELD_NOT_EQUAL] = "!=",	 [FIELD_MATCHES] = "~=",
	[FIELD_LESS] = "<",	      [FIELD_LESS_EQUAL] = "<=", [FIELD_GREATER] = ">",
	[FIELD_GREATER_EQUAL] = ">=",
};

struct selector {
	size_t filter; /* which of the filters it is part of */
	char **path;
	size_t parts;
	enum comparison comparison;
	char *value;
	__int128 number; /* of the value, in billionths */
	struct regex_program *regex;
};

struct record_filter {
	bool matches_all;
	struct selector *selectors; /* those of one filter next to each other */
	size_t count, capacity;
	size_t regexes, regex_steps;
};

void record_filter_free(struct record_filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		struct selector *s = &f->selectors[i];

		for (size_t j = 0; j < s->parts; j++)
			free(s->path[j]);
		free(s->path);
		free(s->value);
		regex_program_free(s->regex);
	}
	free(f->selectors);
	free(f);
}

/* A decimal number and nothing else. */
static int parse_number(const char *text, __int128 *ret_number)
{
	bool negative = *text == '-';
	const char *digits = negative ? text + 1 : text;
	size_t whole = strspn(digits, "0123456789");
	const char *at = digits + whole;
	__int128 number = 0;
	int decimals = 0;

	if (whole == 0 || whole > WHOLE_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < whole; i++)
		number = number * 10 + (digits[i] - '0');
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++)
			if (decimals++ < DECIMALS)
				number = number * 10 + (*at - '0');
		if (decimals == 0)
			return -EINVAL;
	}
	if (*at != '\0')
		return -EINVAL;
	for (; decimals < DECIMALS; decimals++)
		number *= 10;
	*ret_number = negative ? -number : number;
	return 0;
}

/* Durations before sizes, for only "3m" could be both. */
static int parse_quantity(const char *text, __int128 *ret_number)
{
	int64_t value;
	int code = parse_number(text, ret_number);

	if (code == 0)
		return 0;
	code = units_parse_duration(text, &value);
	if (code == -EINVAL)
		code = units_parse_size(text, 0, &value);
	if (code < 0)
		return code;
	*ret_number = (__int128)value * BILLION;
	return 0;
}

static int compile_regex(struct record_filter *f, struct selector *s,
			 const struct filter_scan *scan, size_t at, struct error *e)
{
	struct error fault = { 0 };
	int code;

	if (f->regexes == MAX_REGEXES)
		return filter_scan_fault(scan, at, e, "more than %d regular expressions",
					 MAX_REGEXES);
	code = regex_compile(s->value, &s->regex, &fault);
	if (code == -EINVAL)
		return filter_scan_fault(scan, at, e, "%s in the regular expression", fault.text);
	if (code < 0)
		return error_set(e, code, "%s", fault.text);
	f->regexes++;
	f->regex_steps += s->regex->count;
	if (f->regex_steps > MAX_REGEX_STEPS)
		return filter_scan_fault(scan, at, e,
					 "the regular expressions have more than %d steps together",
					 MAX_REGEX_STEPS);
	return 0;
}

static int parse_path(struct selector *s, struct filter_scan *scan, struct error *e)
{
	do {
		char **longer = realloc(s->path, (s->parts + 1) * sizeof(*longer));
		int code;

		if (!longer)
			return error_set(e, -ENOMEM, "no memory for a filter");
		s->path = longer;
		code = filter_scan_name(scan, &s->path[s->parts], e);
		if (code < 0)
			return code;
		s->parts++;
	} while (filter_scan_peek(scan) == '.' && ++scan->at);
	return 0;
}

static int parse_operator(struct selector *s, struct filter_scan *scan, struct error *e)
{
	char text[8];
	size_t at;

	filter_scan_space(scan);
	at = scan->at;
	filter_scan_operator(scan, text, sizeof(text));
	for (size_t i = FIELD_EQUAL; i < ARRAY_SIZE(operators); i++) {
		if (strcmp(text, operators[i]) == 0) {
			s->comparison = (enum comparison)i;
			return 0;
		}
	}
	return filter_scan_fault(scan, at, e, "expected an operator (==, !=, ~=, <, <=, > or >=)");
}

static int parse_value(struct record_filter *f, struct selector *s, struct filter_scan *scan,
		       struct error *e)
{
	size_t at;
	int code;

	filter_scan_space(scan);
	at = scan->at;
	code = filter_scan_value(scan, s->comparison == FIELD_MATCHES, &s->value, e);
	if (code < 0)
		return code;
	if (s->comparison == FIELD_MATCHES)
		return compile_regex(f, s, scan, at, e);
	if (s->comparison < FIELD_LESS)
		return 0;
	code = parse_quantity(s->value, &s->number);
	if (code == -ERANGE)
		return filter_scan_fault(scan, at, e, "the value is too large");
	if (code < 0)
		return filter_scan_fault(scan, at, e, "expected a number, a size or a duration");
	return 0;
}

/* The selector is f's as soon as there is one, so that f frees what a fault leaves behind. */
static int parse_selector(struct record_filter *f, size_t filter, struct filter_scan *scan,
			  struct error *e)
{
	struct selector *s, *selectors = vec_reserve(f->selectors, &f->capacity, f->count + 1,
						     sizeof(*selectors));
	int code;

	if (!selectors)
		return error_set(e, -ENOMEM, "no memory for a filter");
	f->selectors = selectors;
	s = &f->selectors[f->count++];
	*s = (struct selector){ .filter = filter, .comparison = FIELD_PRESENT };

	code = parse_path(s, scan, e);
	if (code < 0)
		return code;
	if (filter_scan_peek(scan) == '\0' || filter_scan_peek(scan) == ',')
		return 0;
	code = parse_operator(s, scan, e);
	return code < 0 ? code : parse_value(f, s, scan, e);
}

static int parse_filter(struct record_filter *f, size_t filter, const char *text, size_t length,
			struct error *e)
{
	struct filter_scan scan = { .text = text, .length = length };

	if (length == 0) {
		f->matches_all = true;
		return 0;
	}
	for (;;) {
		int code = parse_selector(f, filter, &scan, e);

		if (code < 0)
			return code;
		if (scan.at == length)
			return 0;
		if (filter_scan_peek(&scan) != ',')
			return filter_scan_fault(&scan, scan.at, e, "expected a comma");
		scan.at++;
	}
}

int record_filter_parse(const char *const *filters, size_t count, struct record_filter **ret_filter,
			struct error *e)
{
	cleanup(record_filter_free) struct record_filter *f = calloc(1, sizeof(*f));
	size_t room = MAX_BYTES;

	if (!f)
		return error_set(e, -ENOMEM, "no memory for a filter");
	f->matches_all = count == 0;
	for (size_t i = 0; i < count; i++) {
		size_t length = strnlen(filters[i], room + 1);
		int code;

		if (length > room)
			return error_set(e, -E2BIG, "the filters are longer than %d KiB",
					 MAX_BYTES >> 10);
		room -= length;
		code = parse_filter(f, i, filters[i], length, e);
		if (code < 0)
			return code;
	}
	*ret_filter = take_ptr(f);
	return 0;
}

static bool compare_numbers(enum comparison comparison, __int128 field, __int128 value)
{
	switch (comparison) {
	case FIELD_LESS:
		return field < value;
	case FIELD_LESS_EQUAL:
		return field <= value;
	case FIELD_GREATER:
		return field > value;
	default:
		return field >= value;
	}
}

static bool selector_matches(const struct selector *s, record_filter_field field, void *user)
{
	char buffer[FIELD_TEXT_MAX];
	const char *text =
		field((const char *const *)s->path, s->parts, buffer, sizeof(buffer), user);
	__int128 number;

	switch (s->comparison) {
	case FIELD_PRESENT:
		return text;
	case FIELD_EQUAL:
		return text && strcmp(text, s->value) == 0;
	case FIELD_NOT_EQUAL:
		return strcmp(text ? text : "", s->value) != 0;
	case FIELD_MATCHES:
		return regex_match(s->regex, text ? text : "");
	default:
		return text && parse_number(text, &number) == 0 &&
		       compare_numbers(s->comparison, number, s->number);
	}
}

bool record_filter_is_cheap(const struct record_filter *f)
{
	return f->matches_all || (f->regexes == 0 && f->count <= CHEAP_SELECTORS);
}

bool record_filter_match(const struct record_filter *f, record_filter_field field, void *user)
{
	size_t i = 0;

	while (i < f->count && !f->matches_all) {
		size_t filter = f->selectors[i].filter;
		bool all = true;

		for (; i < f->count && f->selectors[i].filter == filter; i++)
			all = all && selector_matches(&f->selectors[i], field, user);
		if (all)
			return true;
	}
	return f->matches_all;
}
