/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing, always NUL-terminated string. A failed allocation is remembered instead of reported
 * at each step: write everything, then ask strbuf_failed() once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

struct strbuf {
	char *text; /* NULL until the first append */
	size_t length; /* bytes before the NUL */
	size_t capacity;
	bool failed;
};

/* What strbuf_append_bytes() does when there is not enough room, or none of the bytes. */
void strbuf_append_grown(struct strbuf *b, const void *bytes, size_t length);
static inline void strbuf_append_bytes(struct strbuf *b, const void *bytes, size_t length)
{
	if (length == 0 || b->failed || b->capacity - b->length <= length) {
		strbuf_append_grown(b, bytes, length);
		return;
	}
	memcpy(b->text + b->length, bytes, length);
	b->length += length;
	b->text[b->length] = '\0';
}
static inline void strbuf_append(struct strbuf *b, const char *text)
{
	strbuf_append_bytes(b, text, strlen(text));
}
void strbuf_appendf(struct strbuf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Empties the buffer and keeps its memory. */
void strbuf_reset(struct strbuf *b);
bool strbuf_failed(const struct strbuf *b);
/* Hands the text to the caller, who frees it; NULL when an append failed. */
char *strbuf_take(struct strbuf *b);
void strbuf_free(struct strbuf *b);
DEFINE_CLEANUP_VALUE(struct strbuf, strbuf_free)
