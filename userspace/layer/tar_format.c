/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_format.h"

#include <errno.h>
#include <stddef.h>

#include "layer/tar_field.h"

enum format { FORMAT_V7, FORMAT_USTAR, FORMAT_STAR, FORMAT_GNU };

bool tar_block_is_zero(const union tar_block *b)
{
	static const union tar_block zero;

	return memcmp(b, &zero, sizeof(zero)) == 0;
}

/* Old programs summed the bytes as signed numbers. */
static bool checksum_is_right(const union tar_block *b)
{
	const size_t from = offsetof(struct tar_ustar, checksum);
	const size_t to = from + sizeof(b->ustar.checksum);
	int64_t is_unsigned = 0, is_signed = 0, expected;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		char c = i >= from && i < to ? ' ' : b->bytes[i];

		is_unsigned += (unsigned char)c;
		is_signed += (signed char)c;
	}
	return tar_field_number(b->ustar.checksum, sizeof(b->ustar.checksum), &expected) == 0 &&
	       (expected == is_unsigned || expected == is_signed);
}

static enum format format_of(const union tar_block *b)
{
	if (memcmp(b->ustar.magic, "ustar", 6) == 0)
		return memcmp(b->star.trailer, "tar", 4) == 0 ? FORMAT_STAR : FORMAT_USTAR;
	if (memcmp(b->ustar.magic, "ustar ", 6) == 0 && memcmp(b->ustar.version, " ", 2) == 0)
		return FORMAT_GNU;
	return FORMAT_V7;
}

static void append_field(struct strbuf *out, const char *field, size_t size)
{
	strbuf_append_bytes(out, field, strnlen(field, size));
}

static bool is_ascii(const char *field, size_t size)
{
	for (size_t i = 0; i < size && field[i]; i++)
		if ((unsigned char)field[i] >= 0x80)
			return false;
	return true;
}

/* Go before 1.8 wrote a prefix into GNU headers, which have times there. *ret_prefix: it did. */
static void read_gnu_times(const union tar_block *b, struct tar_fields *f, bool *ret_prefix)
{
	const struct tar_gnu *g = &b->gnu;
	int64_t ctime;

	f->has_atime = g->atime[0] != '\0';
	*ret_prefix = tar_field_number(g->atime, sizeof(g->atime), &f->atime) < 0 ||
		      tar_field_number(g->ctime, sizeof(g->ctime), &ctime) < 0;
	if (*ret_prefix)
		f->has_atime = false;
	*ret_prefix = *ret_prefix && is_ascii(b->ustar.prefix, sizeof(b->ustar.prefix));
}

static int read_numbers(const union tar_block *b, enum format format, struct tar_fields *f)
{
	const struct tar_ustar *u = &b->ustar;

	if (tar_field_number(u->mode, sizeof(u->mode), &f->mode) < 0 ||
	    tar_field_number(u->uid, sizeof(u->uid), &f->uid) < 0 ||
	    tar_field_number(u->gid, sizeof(u->gid), &f->gid) < 0 ||
	    tar_field_number(u->size, sizeof(u->size), &f->size) < 0 ||
	    tar_field_number(u->mtime, sizeof(u->mtime), &f->mtime) < 0)
		return -EBADMSG;
	if (format == FORMAT_V7)
		return 0;
	if (tar_field_number(u->major, sizeof(u->major), &f->major) < 0 ||
	    tar_field_number(u->minor, sizeof(u->minor), &f->minor) < 0)
		return -EBADMSG;
	f->has_atime = format == FORMAT_STAR;
	return format == FORMAT_STAR
		       ? tar_field_number(b->star.atime, sizeof(b->star.atime), &f->atime)
		       : 0;
}

int tar_block_parse(const union tar_block *b, struct tar_fields *ret_fields, struct strbuf *name,
		    struct strbuf *target, struct error *e)
{
	enum format format = format_of(b);
	struct tar_fields f = { .type = b->ustar.type, .is_gnu = format == FORMAT_GNU };
	bool has_prefix = format == FORMAT_USTAR || format == FORMAT_STAR;
	size_t prefix_size = format == FORMAT_STAR ? sizeof(b->star.prefix)
						   : sizeof(b->ustar.prefix);

	if (!checksum_is_right(b))
		return error_set(
			e, -EBADMSG,
			"where a header has to be, there is none (its check sum is wrong)");
	if (read_numbers(b, format, &f) < 0)
		return error_set(e, -EBADMSG, "a header has a field that is not a number");
	if (f.size < 0)
		return error_set(e, -EBADMSG, "a header has a negative size");
	if (format == FORMAT_GNU)
		read_gnu_times(b, &f, &has_prefix);
	strbuf_reset(name);
	strbuf_reset(target);
	if (has_prefix && b->ustar.prefix[0]) {
		append_field(name, b->ustar.prefix, prefix_size);
		strbuf_append(name, "/");
	}
	append_field(name, b->ustar.name, sizeof(b->ustar.name));
	append_field(target, b->ustar.target, sizeof(b->ustar.target));
	if (strbuf_failed(name) || strbuf_failed(target))
		return error_set(e, -ENOMEM, "out of memory");
	*ret_fields = f;
	return 0;
}
