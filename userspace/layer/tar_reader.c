/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "layer/tar_field.h"
#include "layer/tar_format.h"
#include "layer/tar_sparse.h"

/* What the kernel can hold in 32 bits. */
#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff

struct tar_reader {
	struct tar_source source;
	const char *bytes; /* of the source, not used yet */
	size_t left;
	bool source_ended;
	bool ended; /* the archive */
	union tar_block block;
	uint64_t content_left; /* of the entry or the special header at hand, in the archive */
	size_t padding_left;
	uint64_t header_bytes; /* since the last entry */
	struct tar_pax pax;
	struct strbuf long_name, long_target; /* GNU tar's; empty: none */
	struct strbuf name, target; /* of the entry, when they are in the header */
	struct tar_sparse sparse;
	bool is_sparse;
	size_t span; /* the one that content comes for */
	int64_t offset; /* in the file (in the span, when it is sparse), of the next content */
	struct tar_entry entry;
};

struct tar_reader *tar_reader_new(const struct tar_source *source)
{
	struct tar_reader *r = calloc(1, sizeof(*r));

	if (r)
		r->source = *source;
	return r;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	tar_pax_free(&r->pax);
	strbuf_free(&r->long_name);
	strbuf_free(&r->long_target);
	strbuf_free(&r->name);
	strbuf_free(&r->target);
	tar_sparse_free(&r->sparse);
	free(r);
}

/* ---- bytes ---- */

static int cut_off(struct error *e)
{
	return error_set(e, -EBADMSG, "the archive is cut off");
}

/* Makes bytes available: 1, or 0 at the end of the source. */
static int refill(struct tar_reader *r, struct error *e)
{
	const void *bytes = NULL;
	long length;

	if (r->left > 0)
		return 1;
	if (r->source_ended)
		return 0;
	length = r->source.read(r->source.user, &bytes, e);
	if (length < 0)
		return (int)length;
	r->source_ended = length == 0;
	r->bytes = bytes;
	r->left = (size_t)length;
	return length > 0;
}

static void use(struct tar_reader *r, size_t length)
{
	r->bytes += length;
	r->left -= length;
}

/* Into r->block: 1, or 0 when the source has ended. */
static int read_block(struct tar_reader *r, struct error *e)
{
	size_t filled = 0;

	while (filled < TAR_BLOCK) {
		int code = refill(r, e);
		size_t part = TAR_BLOCK - filled;

		if (code < 0)
			return code;
		if (code == 0)
			return filled == 0 ? 0 : cut_off(e);
		if (part > r->left)
			part = r->left;
		memcpy(r->block.bytes + filled, r->bytes, part);
		use(r, part);
		filled += part;
	}
	return 1;
}

static int count_header(struct tar_reader *r, uint64_t bytes, struct error *e)
{
	r->header_bytes += bytes;
	if (r->header_bytes > TAR_HEADERS_MAX)
		return error_set(e, -EFBIG,
				 "the headers of an entry take more than %" PRIu64 " MiB",
				 TAR_HEADERS_MAX >> 20);
	return 0;
}

/* Reads a further block of an entry's headers, which must exist. */
static int read_header_block(struct tar_reader *r, struct error *e)
{
	int code = count_header(r, TAR_BLOCK, e);

	if (code < 0)
		return code;
	code = read_block(r, e);
	return code == 0 ? cut_off(e) : code;
}

/* The padding of the last content may be missing at the end of the source: umoci 0.4 ends a layer
 * with the last content. */
static int skip(struct tar_reader *r, struct error *e)
{
	while (r->content_left > 0 || r->padding_left > 0) {
		int code = refill(r, e);
		size_t part = r->left;

		if (code < 0)
			return code;
		if (code == 0) {
			if (r->content_left > 0)
				return cut_off(e);
			break;
		}
		if (r->content_left > 0) {
			part = part < r->content_left ? part : (size_t)r->content_left;
			r->content_left -= part;
		} else {
			part = part < r->padding_left ? part : r->padding_left;
			r->padding_left -= part;
		}
		use(r, part);
	}
	r->padding_left = 0;
	return 0;
}

static void expect(struct tar_reader *r, uint64_t content_bytes)
{
	r->content_left = content_bytes;
	r->padding_left = tar_padding(content_bytes);
}

/* ---- special headers, which say more about the entry that follows ---- */

/* Reads the whole content of a special header. */
static int read_special(struct tar_reader *r, int64_t size, struct strbuf *text, struct error *e)
{
	int code = count_header(r, (uint64_t)size, e);

	if (code < 0)
		return code;
	strbuf_reset(text);
	expect(r, (uint64_t)size);
	while (r->content_left > 0) {
		size_t part;

		code = refill(r, e);
		if (code <= 0)
			return code < 0 ? code : cut_off(e);
		part = r->left < r->content_left ? r->left : (size_t)r->content_left;
		strbuf_append_bytes(text, r->bytes, part);
		use(r, part);
		r->content_left -= part;
	}
	if (strbuf_failed(text))
		return error_set(e, -ENOMEM, "out of memory");
	return skip(r, e);
}

/* Takes a header that describes the next entry, or that is of an unknown kind. 1: it was such a
 * header. */
static int take_special(struct tar_reader *r, char type, int64_t size, struct error *e)
{
	int code;

	switch (type) {
	case TAR_PAX_HEADER:
		code = read_special(r, size, &r->pax.text, e);
		if (code == 0)
			code = tar_pax_parse(&r->pax, e);
		break;
	case TAR_GNU_LONG_NAME:
		code = read_special(r, size, &r->long_name, e);
		break;
	case TAR_GNU_LONG_TARGET:
		code = read_special(r, size, &r->long_target, e);
		break;
	case TAR_PAX_GLOBAL:
	case TAR_GNU_VOLUME:
		/* Comments: as containerd, no records for all entries are taken from them. Go
		 * forgets at one what stood in front of it, and others do not. */
		if (r->pax.count > 0 || r->long_name.length > 0 || r->long_target.length > 0)
			return error_set(e, -EBADMSG,
					 "a global header is between an entry and its own headers");
		expect(r, (uint64_t)size);
		code = skip(r, e);
		break;
	default:
		return 0;
	}
	return code < 0 ? code : 1;
}

/* ---- sparse files ---- */

/* The old format's further blocks of the map come before the content. */
static int read_old_map(struct tar_reader *r, struct error *e)
{
	const struct tar_gnu *gnu = &r->block.gnu;
	int code;

	if (tar_field_number(gnu->real_size, sizeof(gnu->real_size), &r->entry.size) < 0)
		return error_set(e, -EBADMSG, "its size cannot be read");
	code = tar_sparse_add_fields(&r->sparse, gnu->sparse, TAR_GNU_SPARSE_FIELDS, e);
	if (code < 0 || !gnu->is_extended)
		return code;
	do {
		code = read_header_block(r, e);
		if (code < 0)
			return code;
		code = tar_sparse_add_fields(&r->sparse, r->block.gnu_map.sparse,
					     TAR_GNU_MAP_FIELDS, e);
	} while (code == 0 && r->block.gnu_map.is_extended);
	return code;
}

/* Format 1.0: in the first blocks of the content. */
static int read_text_map(struct tar_reader *r, struct error *e)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	int64_t lines = 0, wanted = 1;
	int code;

	while (lines < wanted) {
		bool first = lines == 0;

		if (r->content_left < TAR_BLOCK)
			return error_set(e, -EBADMSG, "the map of its holes is malformed");
		code = read_header_block(r, e);
		if (code < 0)
			return code;
		r->content_left -= TAR_BLOCK;
		strbuf_append_bytes(&text, r->block.bytes, TAR_BLOCK);
		if (strbuf_failed(&text))
			return error_set(e, -ENOMEM, "out of memory");
		for (size_t i = 0; i < TAR_BLOCK; i++)
			lines += r->block.bytes[i] == '\n';
		if (!first || lines == 0)
			continue;
		code = tar_sparse_text_lines(text.text, text.length, &wanted, e);
		if (code < 0)
			return code;
	}
	return tar_sparse_add_text(&r->sparse, text.text, text.length, e);
}

static bool record_is(const struct tar_pax *pax, const char *key, const char *value)
{
	const struct tar_pax_record *record = tar_pax_find(pax, key);

	return value ? record && strcmp(record->value, value) == 0 : !record;
}

enum sparse_format { SPARSE_NOT, SPARSE_IN_PAX, SPARSE_IN_CONTENT };

static enum sparse_format sparse_format(const struct tar_pax *pax)
{
	if (record_is(pax, "GNU.sparse.major", "1") && record_is(pax, "GNU.sparse.minor", "0"))
		return SPARSE_IN_CONTENT;
	if (record_is(pax, "GNU.sparse.major", "0") &&
	    (record_is(pax, "GNU.sparse.minor", "0") || record_is(pax, "GNU.sparse.minor", "1")))
		return SPARSE_IN_PAX;
	/* 0.0 and 0.1 may come without a number. */
	if (record_is(pax, "GNU.sparse.major", NULL) && record_is(pax, "GNU.sparse.minor", NULL) &&
	    (!record_is(pax, "GNU.sparse.map", NULL) || !record_is(pax, "GNU.sparse.offset", NULL)))
		return SPARSE_IN_PAX;
	return SPARSE_NOT;
}

static int read_pax_map(struct tar_reader *r, enum sparse_format format, struct error *e)
{
	const struct tar_pax_record *size = tar_pax_find(&r->pax, "GNU.sparse.size");
	const struct tar_pax_record *name = tar_pax_find(&r->pax, "GNU.sparse.name");

	if (!size)
		size = tar_pax_find(&r->pax, "GNU.sparse.realsize");
	if (size && tar_field_decimal(size->value, size->length, &r->entry.size) < 0)
		return error_set(e, -EBADMSG, "its size cannot be read");
	if (name)
		r->entry.path = name->value;
	return format == SPARSE_IN_CONTENT ? read_text_map(r, e)
					   : tar_sparse_add_pax(&r->sparse, &r->pax, e);
}

static int read_map(struct tar_reader *r, char type, bool is_gnu, struct error *e)
{
	enum sparse_format format = sparse_format(&r->pax);
	int code;

	r->sparse.count = 0;
	r->span = 0;
	r->is_sparse = type == TAR_GNU_SPARSE || format != SPARSE_NOT;
	if (!r->is_sparse)
		return 0;
	if (r->entry.type != TAR_FILE || (type == TAR_GNU_SPARSE && !is_gnu))
		return error_set(e, -EBADMSG, "it has a map of holes, and is not a file");
	code = type == TAR_GNU_SPARSE ? read_old_map(r, e) : read_pax_map(r, format, e);
	return code < 0 ? code : tar_sparse_check(&r->sparse, r->entry.size, r->content_left, e);
}

/* ---- entries ---- */

static int take_number(const struct tar_pax *pax, const char *key, int64_t *number, struct error *e)
{
	const struct tar_pax_record *record = tar_pax_find(pax, key);

	if (record && tar_field_decimal(record->value, record->length, number) < 0)
		return error_set(e, -EBADMSG, "its pax header has a %s that is not a number", key);
	return 0;
}

static int take_time(const struct tar_pax *pax, const char *key, struct timespec *t,
		     struct error *e)
{
	const struct tar_pax_record *record = tar_pax_find(pax, key);

	if (record && tar_field_time(record->value, record->length, t) < 0)
		return error_set(e, -EBADMSG, "its pax header has a %s that is not a time", key);
	return 0;
}

static int take_text(const struct tar_pax *pax, const char *key, const char **text, struct error *e)
{
	const struct tar_pax_record *record = tar_pax_find(pax, key);

	if (!record)
		return 0;
	if (strlen(record->value) != record->length)
		return error_set(e, -EBADMSG, "its pax header has a %s with a NUL", key);
	*text = record->value;
	return 0;
}

/* Special headers override the entry's own header. */
static int merge(struct tar_reader *r, struct tar_entry *entry, bool has_atime, struct error *e)
{
	int code;

	if ((code = take_text(&r->pax, "path", &entry->path, e)) < 0 ||
	    (code = take_text(&r->pax, "linkpath", &entry->target, e)) < 0 ||
	    (code = take_number(&r->pax, "uid", &entry->uid, e)) < 0 ||
	    (code = take_number(&r->pax, "gid", &entry->gid, e)) < 0 ||
	    (code = take_number(&r->pax, "size", &entry->size, e)) < 0 ||
	    (code = take_time(&r->pax, "mtime", &entry->times[1], e)) < 0)
		return code;
	if (!has_atime)
		entry->times[0] = entry->times[1];
	if (r->long_name.length > 0 && *r->long_name.text)
		entry->path = r->long_name.text;
	if (r->long_target.length > 0 && *r->long_target.text)
		entry->target = r->long_target.text;
	return take_time(&r->pax, "atime", &entry->times[0], e);
}

/* The type in the header, where TAR_FILE stands for all types with content. 0: the type is unknown.
 */
static enum tar_type entry_type(char type, const char *path)
{
	size_t length = strlen(path);

	switch (type) {
	case '\0': /* of v7, which has no type for directories */
		return length > 0 && path[length - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
	case TAR_FILE:
	case TAR_CONTIGUOUS:
	case TAR_GNU_SPARSE:
		return TAR_FILE;
	case TAR_LINK:
	case TAR_SYMLINK:
	case TAR_CHARACTER:
	case TAR_BLOCK_DEVICE:
	case TAR_DIRECTORY:
	case TAR_FIFO:
		return (enum tar_type)type;
	default:
		return 0;
	}
}

static int take_device(const struct tar_fields *f, struct tar_entry *entry, struct error *e)
{
	if (entry->type != TAR_CHARACTER && entry->type != TAR_BLOCK_DEVICE)
		return 0;
	if (f->major < 0 || f->major > MAJOR_MAX || f->minor < 0 || f->minor > MINOR_MAX)
		return error_set(e, -EBADMSG,
				 "its device %" PRId64 ":%" PRId64 " is not one of Linux", f->major,
				 f->minor);
	entry->device = makedev((unsigned)f->major, (unsigned)f->minor);
	return 0;
}

static int take_entry(struct tar_reader *r, const struct tar_fields *f, struct error *e)
{
	struct tar_entry *entry = &r->entry;
	int code;

	*entry = (struct tar_entry){
		.path = r->name.text,
		.target = r->target.text,
		.mode = (mode_t)f->mode & 07777,
		.uid = f->uid,
		.gid = f->gid,
		.times = { { .tv_sec = f->atime }, { .tv_sec = f->mtime } },
		.size = f->size,
		.pax = &r->pax,
	};
	code = merge(r, entry, f->has_atime, e);
	if (code < 0)
		return code;
	entry->type = entry_type(f->type, entry->path);
	if (!entry->type)
		return error_set(e, -EOPNOTSUPP,
				 "it is of the type '%c' (0x%02x), which layers do not have",
				 f->type >= ' ' && f->type < 0x7f ? f->type : '?',
				 (unsigned char)f->type);
	code = take_device(f, entry, e);
	if (code < 0)
		return code;
	if (entry->type != TAR_FILE)
		entry->size = 0;
	if (entry->size < 0)
		return error_set(e, -EBADMSG, "its size is negative");
	expect(r, (uint64_t)entry->size);
	r->offset = 0;
	return read_map(r, f->type, f->is_gnu, e);
}

/* The next block that is not zeros: 1, or 0 at the end. */
static int read_header(struct tar_reader *r, struct error *e)
{
	int code = read_block(r, e);

	if (code <= 0 || !tar_block_is_zero(&r->block))
		return code;
	code = read_block(r, e);
	if (code > 0 && !tar_block_is_zero(&r->block))
		return error_set(e, -EBADMSG, "one block of zeros, and more entries behind it");
	return code < 0 ? code : 0;
}

static int next_header(struct tar_reader *r, struct tar_fields *f, struct error *e)
{
	int code = read_header(r, e);

	if (code <= 0)
		return code;
	code = count_header(r, TAR_BLOCK, e);
	if (code < 0)
		return code;
	code = tar_block_parse(&r->block, f, &r->name, &r->target, e);
	return code < 0 ? code : 1;
}

/* The header of the next entry, behind the special headers that belong to it: 1, or 0 at the end.
 */
static int next_entry(struct tar_reader *r, struct tar_fields *f, struct error *e)
{
	int code;

	do {
		code = next_header(r, f, e);
		if (code < 0)
			return code;
		if (code == 0) /* with a special header, an entry was to follow */
			return r->header_bytes > 0 ? cut_off(e) : 0;
		code = take_special(r, f->type, f->size, e);
	} while (code > 0);
	return code < 0 ? code : 1;
}

int tar_reader_next(struct tar_reader *r, const struct tar_entry **ret_entry, struct error *e)
{
	struct tar_fields f;
	int code = skip(r, e);

	if (code < 0 || r->ended)
		return code;
	tar_pax_reset(&r->pax);
	strbuf_reset(&r->long_name);
	strbuf_reset(&r->long_target);
	r->header_bytes = 0;
	code = next_entry(r, &f, e);
	if (code <= 0) {
		r->ended = code == 0;
		return code;
	}
	code = take_entry(r, &f, e);
	if (code < 0)
		return code;
	*ret_entry = &r->entry;
	return 1;
}

int tar_reader_content(struct tar_reader *r, const void **ret_bytes, size_t *ret_length,
		       int64_t *ret_offset, struct error *e)
{
	uint64_t most = r->content_left;
	int64_t start = 0;
	int code;

	if (r->content_left == 0)
		return 0;
	if (r->is_sparse) { /* the spans are as long as the content */
		while (r->offset == r->sparse.spans[r->span].length) {
			r->span++;
			r->offset = 0;
		}
		start = r->sparse.spans[r->span].offset;
		most = (uint64_t)(r->sparse.spans[r->span].length - r->offset);
	}
	code = refill(r, e);
	if (code <= 0)
		return code < 0 ? code : cut_off(e);
	if (most > r->left)
		most = r->left;
	*ret_bytes = r->bytes;
	*ret_length = (size_t)most;
	*ret_offset = start + r->offset;
	use(r, (size_t)most);
	r->content_left -= most;
	r->offset += (int64_t)most;
	return 1;
}

int tar_reader_end(struct tar_reader *r, uint64_t max, bool *ret_all_zeros, struct error *e)
{
	uint64_t bytes = 0;
	bool zeros = true;
	int code;

	while ((code = refill(r, e)) > 0) {
		bytes += r->left;
		if (bytes > max)
			return error_set(e, -EFBIG,
					 "more than %" PRIu64 " MiB follow the archive's end",
					 max >> 20);
		for (size_t i = 0; zeros && i < r->left; i++)
			zeros = r->bytes[i] == '\0';
		use(r, r->left);
	}
	if (code == 0)
		*ret_all_zeros = zeros;
	return code;
}
