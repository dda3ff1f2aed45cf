/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_writer.h"

#include <inttypes.h>
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

static void append_quoted(struct strbuf *out, const char *bytes, size_t length)
{
	size_t plain = 0; /* bytes before `at` that wait to be copied as they are */
	size_t at = 0;

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

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
	begin(w, key);
	strbuf_appendf(w->out, "%" PRId64, value);
}

void json_put_uint(struct json_writer *w, const char *key, uint64_t value)
{
	begin(w, key);
	strbuf_appendf(w->out, "%" PRIu64, value);
}

void json_put_double(struct json_writer *w, const char *key, double value)
{
	char text[64];
	size_t whole;

	if (!isfinite(value)) { /* JSON has no word for it */
		json_put_null(w, key);
		return;
	}
	/* The shortest text that reads back as the same number. */
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value); /* 24 bytes at most */
		if (strtod(text, NULL) == value)
			break;
	}
	begin(w, key);
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
