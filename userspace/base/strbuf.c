/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct strbuf *b, size_t need)
{
	size_t capacity = b->capacity ? b->capacity : 64;
	char *text;

	while (capacity < need)
		capacity *= 2;
	text = realloc(b->text, capacity);
	if (!text) {
		b->failed = true;
		return false;
	}
	b->text = text;
	b->capacity = capacity;
	return true;
}

static inline bool reserve(struct strbuf *b, size_t more)
{
	size_t need = b->length + more + 1;

	if (b->failed)
		return false;
	return need <= b->capacity || grow(b, need);
}

void strbuf_append_grown(struct strbuf *b, const void *bytes, size_t length)
{
	if (!reserve(b, length))
		return;
	if (length)
		memcpy(b->text + b->length, bytes, length);
	b->length += length;
	b->text[b->length] = '\0';
}

void strbuf_appendf(struct strbuf *b, const char *format, ...)
{
	va_list args;
	size_t room;
	int length;

	if (!reserve(b, 63)) /* enough for most */
		return;
	room = b->capacity - b->length;
	va_start(args, format);
	length = vsnprintf(b->text + b->length, room, format, args);
	va_end(args);
	if (length < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)length >= room) {
		b->text[b->length] = '\0';
		if (!reserve(b, (size_t)length))
			return;
		va_start(args, format);
		(void)vsnprintf(b->text + b->length, (size_t)length + 1, format, args);
		va_end(args);
	}
	b->length += (size_t)length;
}

void strbuf_reset(struct strbuf *b)
{
	b->length = 0;
	if (b->text)
		b->text[0] = '\0';
}

bool strbuf_failed(const struct strbuf *b)
{
	return b->failed;
}

char *strbuf_take(struct strbuf *b)
{
	char *text;

	strbuf_append(b, ""); /* an empty buffer yields "" rather than NULL */
	if (b->failed) {
		strbuf_free(b);
		return NULL;
	}
	text = b->text;
	*b = (struct strbuf){ 0 };
	return text;
}

void strbuf_free(struct strbuf *b)
{
	free(b->text);
	*b = (struct strbuf){ 0 };
}
