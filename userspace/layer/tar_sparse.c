/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_sparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "layer/tar_field.h"

#define FIELD_BYTES 12

static int malformed(struct error *e)
{
	return error_set(e, -EBADMSG, "the map of its holes is malformed");
}

static int add_span(struct tar_sparse *s, struct tar_span span, struct error *e)
{
	struct tar_span *spans = vec_reserve(s->spans, &s->capacity, s->count + 1, sizeof(*spans));

	if (!spans)
		return error_set(e, -ENOMEM, "out of memory");
	s->spans = spans;
	s->spans[s->count++] = span;
	return 0;
}

int tar_sparse_add_fields(struct tar_sparse *s, const char *fields, size_t count, struct error *e)
{
	for (size_t i = 0; i < count && fields[0]; i++, fields += 2 * FIELD_BYTES) {
		struct tar_span span;
		int code;

		if (tar_field_number(fields, FIELD_BYTES, &span.offset) < 0 ||
		    tar_field_number(fields + FIELD_BYTES, FIELD_BYTES, &span.length) < 0)
			return malformed(e);
		code = add_span(s, span, e);
		if (code < 0)
			return code;
	}
	return 0;
}

/* 0.1: one record "offset,length,offset,length". */
static int add_list(struct tar_sparse *s, const struct tar_pax_record *map, struct error *e)
{
	const char *at = map->value, *end = map->value + map->length;

	while (at < end) {
		struct tar_span span;
		size_t first = strcspn(at, ","), second;
		int code;

		if (at[first] != ',' || tar_field_decimal(at, first, &span.offset) < 0)
			return malformed(e);
		at += first + 1;
		second = strcspn(at, ",");
		if (tar_field_decimal(at, second, &span.length) < 0)
			return malformed(e);
		at += second + (at[second] == ',');
		code = add_span(s, span, e);
		if (code < 0)
			return code;
	}
	return 0;
}

/* 0.0: records GNU.sparse.offset and GNU.sparse.numbytes, again and again by turns. */
static int add_pairs(struct tar_sparse *s, const struct tar_pax *pax, struct error *e)
{
	struct tar_span span = { 0 };
	bool has_offset = false;

	for (size_t i = 0; i < pax->count; i++) {
		const struct tar_pax_record *r = &pax->records[i];
		bool is_offset = strcmp(r->key, "GNU.sparse.offset") == 0;
		int code;

		if (!is_offset && strcmp(r->key, "GNU.sparse.numbytes") != 0)
			continue;
		if (is_offset == has_offset ||
		    tar_field_decimal(r->value, r->length,
				      is_offset ? &span.offset : &span.length) < 0)
			return malformed(e);
		has_offset = is_offset;
		if (is_offset)
			continue;
		code = add_span(s, span, e);
		if (code < 0)
			return code;
	}
	return has_offset ? malformed(e) : 0;
}

int tar_sparse_add_pax(struct tar_sparse *s, const struct tar_pax *pax, struct error *e)
{
	const struct tar_pax_record *map = tar_pax_find(pax, "GNU.sparse.map");

	return map ? add_list(s, map, e) : add_pairs(s, pax, e);
}

/* The number that the line from `at` on holds; the line behind it, or NULL. */
static const char *take_line(const char *at, const char *end, int64_t *ret_number)
{
	const char *line = memchr(at, '\n', (size_t)(end - at));

	if (!line || tar_field_decimal(at, (size_t)(line - at), ret_number) < 0)
		return NULL;
	return line + 1;
}

int tar_sparse_text_lines(const char *text, size_t length, int64_t *ret_lines, struct error *e)
{
	int64_t spans;

	if (!take_line(text, text + length, &spans) || spans < 0 || spans > INT32_MAX)
		return malformed(e);
	*ret_lines = 1 + 2 * spans;
	return 0;
}

int tar_sparse_add_text(struct tar_sparse *s, const char *text, size_t length, struct error *e)
{
	const char *end = text + length, *at;
	int64_t spans;

	at = take_line(text, end, &spans);
	for (int64_t i = 0; at && i < spans; i++) {
		struct tar_span span;
		int code;

		at = take_line(at, end, &span.offset);
		at = at ? take_line(at, end, &span.length) : NULL;
		if (!at)
			break;
		code = add_span(s, span, e);
		if (code < 0)
			return code;
	}
	return at ? 0 : malformed(e);
}

int tar_sparse_check(const struct tar_sparse *s, int64_t file_bytes, uint64_t content_bytes,
		     struct error *e)
{
	int64_t end = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct tar_span *span = &s->spans[i];

		if (span->length < 0 || span->offset < end ||
		    __builtin_add_overflow(span->offset, span->length, &end) || end > file_bytes)
			return malformed(e);
		sum += (uint64_t)span->length;
	}
	if (sum != content_bytes)
		return error_set(e, -EBADMSG,
				 "the map of its holes leaves room for %llu bytes, and %llu follow",
				 (unsigned long long)sum, (unsigned long long)content_bytes);
	return 0;
}

void tar_sparse_free(struct tar_sparse *s)
{
	free(s->spans);
	*s = (struct tar_sparse){ 0 };
}
