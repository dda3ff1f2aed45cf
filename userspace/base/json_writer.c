/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static void append_escape(struct strbuf *out, unsigned char byte)
{
	switch (byte) {
	case '"':
		strbuf_append(out, "\\\"");
		break;
	case '\\':
		strbuf_append(out, "\\\\");
		break;
	case '\b':
		strbuf_append(out, "\\b");
		break;
	case '\f':
		strbuf_append(out, "\\f");
		break;
	case '\n':
		strbuf_append(out, "\\n");
		break;
	case '\r':
		strbuf_append(out, "\\r");
		break;
	case '\t':
		strbuf_append(out, "\\t");
		break;
	default:
		strbuf_appendf(out, "\\u%04x", byte);
	}
}

/* How many of the bytes are ASCII and need no escape. */
static size_t count_plain(const char *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && bytes[at] >= ' ' && (unsigned char)bytes[at] < 0x80 &&
	       bytes[at] != '"' && bytes[at] != '\\')
		at++;
	return at;
}

static void append_quoted(struct strbuf *out, const char *bytes, size_t length)
{
	size_t at = count_plain(bytes, length);
	size_t plain = at; /* bytes before `at` that wait to be copied as they are */

	strbuf_append(out, "\"");
	while (at < length) {
		uint32_t character;
		size_t size = utf8_next(bytes + at, length - at, &character);

		if (character != UTF8_STRAY && character >= 0x20 && character != '"' &&
		    character != '\\') {
			plain += size;
			at += size;
			continue;
		}
		strbuf_append_bytes(out, bytes + at - plain, plain);
		plain = 0;
		if (character == UTF8_STRAY)
			strbuf_append(out, "\xef\xbf\xbd"); /* U+FFFD */
		else
			append_escape(out, (unsigned char)character);
		at += size;
	}
	strbuf_append_bytes(out, bytes + at - plain, plain);
	strbuf_append(out, "\"");
}

/* Everything that stands in front of a value. */
static void begin(struct json_writer *w, const char *key)
{
	if (w->comma)
		strbuf_append(w->out, ",");
	if (key) {
		append_quoted(w->out, key, strlen(key));
		strbuf_append(w->out, ":");
	}
	w->comma = true;
}

void json_open_object(struct json_writer *w, const char *key)
{
	begin(w, key);
	strbuf_append(w->out, "{");
	w->comma = false;
}

void json_close_object(struct json_writer *w)
{
	strbuf_append(w->out, "}");
	w->comma = true;
}

void json_open_array(struct json_writer *w, const char *key)
{
	begin(w, key);
	strbuf_append(w->out, "[");
	w->comma = false;
}

void json_close_array(struct json_writer *w)
{
	strbuf_append(w->out, "]");
	w->comma = true;
}

void json_put_string(struct json_writer *w, const char *key, const char *value)
{
	if (!value) {
		json_put_null(w, key);
		return;
	}
	begin(w, key);
	append_quoted(w->out, value, strlen(value));
}

static void append_unsigned(struct strbuf *out, uint64_t value)
{
	char digits[20], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	strbuf_append_bytes(out, at, (size_t)(digits + sizeof(digits) - at));
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
	begin(w, key);
	if (value < 0)
		strbuf_append(w->out, "-");
	append_unsigned(w->out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_put_uint(struct json_writer *w, const char *key, uint64_t value)
{
	begin(w, key);
	append_unsigned(w->out, value);
}

/* Numbers with three decimals at most, as nearly all are, take a tenth of the time this way.
 * False: it is another one. */
static bool append_thousandths(struct strbuf *out, double value)
{
	int64_t thousandths;
	unsigned rest;

	/* 15 digits, so that no other text of as many is the same number. */
	if (!(value > 0 && value < 1e12))
		return false;
	thousandths = llround(value * 1000);
	if ((double)thousandths / 1000 != value)
		return false;
	append_unsigned(out, (uint64_t)thousandths / 1000);
	rest = (unsigned)(thousandths % 1000);
	if (rest > 0) {
		char text[] = { '.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
				(char)('0' + rest % 10) };
		size_t length = rest % 10 ? 4 : rest % 100 ? 3 : 2;

		strbuf_append_bytes(out, text, length);
	}
	return true;
}

void json_put_double(struct json_writer *w, const char *key, double value)
{
	char text[64];
	size_t whole;

	if (!isfinite(value)) { /* JSON has no word for it */
		json_put_null(w, key);
		return;
	}
	begin(w, key);
	if (append_thousandths(w->out, value))
		return;
	/* The shortest text that reads back as the same number. */
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value); /* 24 bytes at most */
		if (strtod(text, NULL) == value)
			break;
	}
	/* The caller's locale may write the point as something else, even as several bytes. */
	whole = strspn(text, "-0123456789");
	strbuf_append_bytes(w->out, text, whole);
	if (text[whole] != '\0' && text[whole] != 'e') {
		strbuf_append(w->out, ".");
		whole += strcspn(text + whole, "0123456789");
	}
	strbuf_append(w->out, text + whole);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	begin(w, key);
	strbuf_append(w->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
	begin(w, key);
	strbuf_append(w->out, "null");
}
