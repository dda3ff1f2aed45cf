/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_header.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/utf8.h"
#include "layer/tar_format.h"

#define OCTAL_MAX(field) ((UINT64_C(1) << (3 * (sizeof(field) - 1))) - 1)

void tar_header_record(struct strbuf *records, const char *key, const void *value, size_t length)
{
	/* "LENGTH key=value\n", where the length counts its own digits. */
	size_t rest = 1 + strlen(key) + 1 + length + 1, total = rest + 1;

	while (total != rest + (size_t)snprintf(NULL, 0, "%zu", total))
		total = rest + (size_t)snprintf(NULL, 0, "%zu", total);
	strbuf_appendf(records, "%zu %s=", total, key);
	strbuf_append_bytes(records, value, length);
	strbuf_append(records, "\n");
}

static void number_record(struct strbuf *records, const char *key, uint64_t value)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%" PRIu64, value);

	tar_header_record(records, key, text, (size_t)length);
}

static void mtime_record(struct strbuf *records, struct timespec t)
{
	char text[40];
	bool negative = t.tv_sec < 0;
	uint64_t seconds = negative ? -(uint64_t)t.tv_sec : (uint64_t)t.tv_sec;
	long ns = t.tv_nsec;
	int length;

	if (negative && ns > 0) {
		seconds--;
		ns = 1000000000 - ns;
	}
	length = snprintf(text, sizeof(text), "%s%" PRIu64, negative ? "-" : "", seconds);
	if (ns > 0) {
		length += snprintf(text + length, sizeof(text) - (size_t)length, ".%09ld", ns);
		while (text[length - 1] == '0')
			length--;
	}
	tar_header_record(records, "mtime", text, (size_t)length);
}

static void octal(char *field, size_t size, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, value);
	memcpy(field, text, size);
}

/* The last block and its padding. */
static void pad(struct strbuf *out)
{
	static const char zeros[TAR_BLOCK];

	strbuf_append_bytes(out, zeros, tar_padding(out->length));
}

static void append_block(struct strbuf *out, struct tar_ustar *u)
{
	const unsigned char *bytes = (const void *)u;
	unsigned sum = 0;

	memcpy(u->magic, "ustar", 6);
	memcpy(u->version, "00", 2);
	memset(u->checksum, ' ', sizeof(u->checksum));
	for (size_t i = 0; i < sizeof(*u); i++)
		sum += bytes[i];
	(void)snprintf(u->checksum, sizeof(u->checksum), "%06o", sum); /* six digits, NUL, space */
	strbuf_append_bytes(out, u, sizeof(*u));
}

/* Stores the path in name, or in prefix and name. False: it does not fit. */
static bool split_path(const char *path, struct tar_ustar *u)
{
	size_t length = strlen(path), at;

	if (length <= sizeof(u->name)) {
		memcpy(u->name, path, length);
		return true;
	}
	/* The shortest prefix: a slash from where the rest fits; it must not end in it. */
	for (at = length - sizeof(u->name) - 1; at + 1 < length; at++)
		if (path[at] == '/' && at > 0)
			break;
	if (at + 1 >= length || at > sizeof(u->prefix))
		return false;
	memcpy(u->prefix, path, at);
	memcpy(u->name, path + at + 1, length - at - 1);
	return true;
}

static bool is_utf8(const char *text)
{
	size_t left = strlen(text), length;
	uint32_t character;

	for (; left > 0; text += length, left -= length) {
		length = utf8_decode(text, left, &character);
		if (length == 0)
			return false;
	}
	return true;
}

static void text_records(struct strbuf *records, const struct tar_header *h, struct tar_ustar *u)
{
	const char *path = split_path(h->path, u) ? NULL : h->path;
	const char *target = h->target;

	if (target) /* cut to the field for readers without pax; libarchive needs it, too */
		memcpy(u->target, target, strnlen(target, sizeof(u->target)));
	if (target && strlen(target) <= sizeof(u->target))
		target = NULL;
	/* pax headers are UTF-8, unless they say that they are not. */
	if ((path && !is_utf8(path)) || (target && !is_utf8(target)))
		tar_header_record(records, "hdrcharset", "BINARY", 6);
	if (path)
		tar_header_record(records, "path", path, strlen(path));
	if (path)
		memcpy(u->name, path, sizeof(u->name) - 1);
	if (target)
		tar_header_record(records, "linkpath", target, strlen(target));
}

static uint64_t small(struct strbuf *records, const char *key, uint64_t value, uint64_t max)
{
	if (value <= max)
		return value;
	number_record(records, key, value);
	return 0;
}

static void append_pax_header(struct strbuf *out, const struct strbuf *records)
{
	struct tar_ustar u = { .type = TAR_PAX_HEADER };

	(void)strcpy(u.name, "PaxHeaders/0"); /* never extracted as a file */
	octal(u.mode, sizeof(u.mode), 0644);
	octal(u.uid, sizeof(u.uid), 0);
	octal(u.gid, sizeof(u.gid), 0);
	octal(u.size, sizeof(u.size), records->length);
	octal(u.mtime, sizeof(u.mtime), 0);
	append_block(out, &u);
	strbuf_append_bytes(out, records->text, records->length);
	pad(out);
}

void tar_header_append(struct strbuf *out, const struct tar_header *h)
{
	struct strbuf records = { 0 };
	struct tar_ustar u = { .type = (char)h->type };
	bool plain_time = h->mtime.tv_nsec == 0 && h->mtime.tv_sec >= 0 &&
			  (uint64_t)h->mtime.tv_sec <= OCTAL_MAX(u.mtime);

	text_records(&records, h, &u);
	octal(u.mode, sizeof(u.mode), h->mode & 07777);
	octal(u.uid, sizeof(u.uid), small(&records, "uid", h->uid, OCTAL_MAX(u.uid)));
	octal(u.gid, sizeof(u.gid), small(&records, "gid", h->gid, OCTAL_MAX(u.gid)));
	octal(u.size, sizeof(u.size), small(&records, "size", h->size, OCTAL_MAX(u.size)));
	if (!plain_time)
		mtime_record(&records, h->mtime);
	octal(u.mtime, sizeof(u.mtime),
	      h->mtime.tv_sec >= 0 && (uint64_t)h->mtime.tv_sec <= OCTAL_MAX(u.mtime)
		      ? (uint64_t)h->mtime.tv_sec
		      : 0);
	octal(u.major, sizeof(u.major), major(h->device));
	octal(u.minor, sizeof(u.minor), minor(h->device));
	if (h->records && h->records->length > 0)
		strbuf_append_bytes(&records, h->records->text, h->records->length);
	if (records.length > 0)
		append_pax_header(out, &records);
	out->failed = out->failed || strbuf_failed(&records);
	append_block(out, &u);
	strbuf_free(&records);
}
