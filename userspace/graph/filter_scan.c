/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/filter_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"

#define QUOTED_IN_ERROR 200 /* bytes of a filter that an error repeats */

int filter_scan_fault(const struct filter_scan *s, size_t at, struct error *e, const char *format,
		      ...)
{
	char quote[QUOTED_IN_ERROR + 1], message[256];
	bool cut = s->length > QUOTED_IN_ERROR;
	size_t length = cut ? QUOTED_IN_ERROR : s->length;
	va_list args;

	while (cut && length > 0 && ((unsigned char)s->text[length] & 0xc0) == 0x80)
		length--; /* not within a character */
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)s->text[i];

		quote[i] = byte < 0x20 || byte == 0x7f ? '?' : s->text[i]; /* it ends up in logs */
	}
	quote[length] = '\0';

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args); /* a cut text is still a text */
	va_end(args);
	return error_set(e, -EINVAL, "filter '%s%s': %s at position %zu", quote, cut ? "…" : "",
			 message, at + 1);
}

char filter_scan_peek(const struct filter_scan *s)
{
	return s->text[s->at];
}

/* As Go's unicode.IsSpace. */
static bool is_space(uint32_t c)
{
	return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

void filter_scan_space(struct filter_scan *s)
{
	uint32_t character;
	size_t size;

	while ((size = utf8_decode(s->text + s->at, s->length - s->at, &character)) > 0 &&
	       is_space(character))
		s->at += size;
}

static bool is_name_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static bool is_quote(char c)
{
	return c == '"' || c == '/' || c == '|';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Reads exactly so many digits. */
static bool read_digits(struct filter_scan *s, unsigned base, unsigned digits, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < digits; i++, s->at++) {
		unsigned digit = (unsigned)hex_digit(filter_scan_peek(s));

		if (digit >= base)
			return false;
		value = value * base + digit;
	}
	*ret_value = value;
	return true;
}

/* \ooo and \xhh are bytes, \uhhhh and \Uhhhhhhhh are characters. */
static bool read_number_escape(struct filter_scan *s, char **out)
{
	char kind = filter_scan_peek(s);
	uint32_t value;

	if (kind == 'x' || kind == 'u' || kind == 'U') {
		s->at++;
		if (!read_digits(s, 16, kind == 'x' ? 2 : kind == 'u' ? 4 : 8, &value))
			return false;
	} else if (!read_digits(s, 8, 3, &value)) {
		return false;
	}
	if (value == 0) /* the texts of records hold no NUL */
		return false;
	if (kind == 'u' || kind == 'U') {
		if (value > 0x10ffff)
			return false;
		*out += utf8_encode(value, *out);
		return true;
	}
	*(*out)++ = (char)value;
	return value <= 0xff;
}

/* What follows a backslash, as in Go's string literals. */
static bool read_escape(struct filter_scan *s, char quote, char **out)
{
	static const char letters[] = "abfnrtv\\", meanings[] = "\a\b\f\n\r\t\v\\";
	char c = filter_scan_peek(s);
	const char *letter = c ? strchr(letters, c) : NULL;

	if (c != quote && !letter)
		return read_number_escape(s, out);
	*(*out)++ = c == quote ? quote : meanings[letter - letters];
	s->at++;
	return true;
}

static int scan_quoted(struct filter_scan *s, char **ret_text, struct error *e)
{
	size_t start = s->at;
	char quote = s->text[s->at++];
	/* No escape is shorter than what it stands for. */
	cleanup(free_ptr) char *text = malloc(s->length - start + 1);
	char *out = text;

	if (!text)
		return error_set(e, -ENOMEM, "no memory for a filter");
	while (filter_scan_peek(s) != quote) {
		size_t at = s->at;
		uint32_t character;
		size_t size = utf8_decode(s->text + at, s->length - at, &character);

		if (at == s->length || s->text[at] == '\n')
			return filter_scan_fault(s, start, e, "unclosed quote");
		if (size == 0)
			return filter_scan_fault(s, at, e, "invalid UTF-8");
		s->at += size;
		if (character != '\\') {
			memcpy(out, s->text + at, size);
			out += size;
		} else if (!read_escape(s, quote, &out)) {
			return filter_scan_fault(s, at, e, "invalid escape");
		}
	}
	s->at++;
	*out = '\0';
	*ret_text = take_ptr(text);
	return 0;
}

static int copy_plain(const struct filter_scan *s, size_t start, char **ret_text, struct error *e)
{
	char *text = strndup(s->text + start, s->at - start);

	if (!text)
		return error_set(e, -ENOMEM, "no memory for a filter");
	*ret_text = text;
	return 0;
}

int filter_scan_name(struct filter_scan *s, char **ret_name, struct error *e)
{
	size_t start;

	filter_scan_space(s);
	start = s->at;
	if (filter_scan_peek(s) == '"')
		return scan_quoted(s, ret_name, e);
	if (is_quote(filter_scan_peek(s)))
		return filter_scan_fault(s, start, e,
					 "a field name can be quoted with \" only, not with %c",
					 filter_scan_peek(s));
	while (is_name_character(filter_scan_peek(s)))
		s->at++;
	if (s->at == start)
		return filter_scan_fault(s, start, e, "expected a field name");
	return copy_plain(s, start, ret_name, e);
}

void filter_scan_operator(struct filter_scan *s, char *ret_operator, size_t size)
{
	size_t used = 0;
	char first;

	filter_scan_space(s);
	first = filter_scan_peek(s);
	if (first == '<' || first == '>') { /* ours; containerd knows only the others */
		ret_operator[used++] = first;
		if (s->text[++s->at] == '=')
			ret_operator[used++] = s->text[s->at++];
	} else {
		for (; filter_scan_peek(s) && strchr("=!~", filter_scan_peek(s)); s->at++)
			if (used < size - 1)
				ret_operator[used++] = filter_scan_peek(s);
	}
	ret_operator[used] = '\0';
}

int filter_scan_value(struct filter_scan *s, bool other_quotes, char **ret_value, struct error *e)
{
	size_t start, size;
	uint32_t character;
	char first;

	filter_scan_space(s);
	start = s->at;
	first = filter_scan_peek(s);
	if (is_quote(first)) {
		if (first != '"' && !other_quotes)
			return filter_scan_fault(
				s, start, e, "only the value of ~= can be quoted with %c", first);
		return scan_quoted(s, ret_value, e);
	}
	if (first == '\0' || strchr(",.=!~", first))
		return filter_scan_fault(s, start, e, "expected a value");
	/* Control characters end a value, as they do in Go, where they are not graphic. */
	while ((size = utf8_decode(s->text + s->at, s->length - s->at, &character)) > 0 &&
	       character != ',' && character >= 0x20 && (character < 0x7f || character > 0x9f) &&
	       !is_space(character))
		s->at += size;
	if (s->at < s->length && size == 0)
		return filter_scan_fault(s, s->at, e, "invalid UTF-8");
	if (s->at == start)
		return filter_scan_fault(s, start, e, "expected a value");
	return copy_plain(s, start, ret_value, e);
}
