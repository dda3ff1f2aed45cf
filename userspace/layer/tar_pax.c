/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_pax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

static int add(struct tar_pax *p, struct tar_pax_record record, struct error *e)
{
	struct tar_pax_record *records =
		vec_reserve(p->records, &p->capacity, p->count + 1, sizeof(*records));

	if (!records)
		return error_set(e, -ENOMEM, "out of memory");
	p->records = records;
	p->records[p->count++] = record;
	return 0;
}

/* "LENGTH key=value\n": returns the length, which counts itself, or 0. */
static size_t record_length(const char *text, size_t left, size_t *ret_digits)
{
	size_t length = 0, digits = 0;

	while (digits < left && text[digits] >= '0' && text[digits] <= '9' && length <= left)
		length = 10 * length + (size_t)(text[digits++] - '0');
	*ret_digits = digits;
	return digits < left && text[digits] == ' ' && length <= left ? length : 0;
}

static int parse_record(struct tar_pax *p, char *text, size_t length, size_t digits,
			struct error *e)
{
	char *key = text + digits + 1, *end = text + length - 1;
	char *equals = length > digits + 2 ? memchr(key, '=', (size_t)(end - key)) : NULL;

	if (!equals || equals == key || *end != '\n' || memchr(key, '\0', (size_t)(equals - key)))
		return error_set(e, -EBADMSG, "its pax header is malformed");
	*equals = '\0';
	*end = '\0';
	return add(p, (struct tar_pax_record){ key, equals + 1, (size_t)(end - equals - 1) }, e);
}

int tar_pax_parse(struct tar_pax *p, struct error *e)
{
	size_t at = 0;

	p->count = 0;
	while (at < p->text.length) {
		size_t digits = 0;
		size_t length = record_length(p->text.text + at, p->text.length - at, &digits);
		int code;

		if (length == 0)
			return error_set(e, -EBADMSG, "its pax header is malformed");
		code = parse_record(p, p->text.text + at, length, digits, e);
		if (code < 0)
			return code;
		at += length;
	}
	return 0;
}

const struct tar_pax_record *tar_pax_find(const struct tar_pax *p, const char *key)
{
	for (size_t i = p->count; i > 0; i--)
		if (strcmp(p->records[i - 1].key, key) == 0)
			return p->records[i - 1].length > 0 ? &p->records[i - 1] : NULL;
	return NULL;
}

void tar_pax_reset(struct tar_pax *p)
{
	strbuf_reset(&p->text);
	p->count = 0;
}

void tar_pax_free(struct tar_pax *p)
{
	strbuf_free(&p->text);
	free(p->records);
	*p = (struct tar_pax){ 0 };
}
