/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_apply.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/tar_extract.h"
#include "layer/tar_stream.h"

/* What the headers of one entry may take: names, attributes, maps of sparse files. libarchive keeps
 * them in memory. */
#define HEADERS_MAX ((uint64_t)8 << 20)
/* What may follow the archive's end. */
#define TRAILER_MAX ((uint64_t)64 << 20)

struct apply {
	const struct tar_apply_options *options;
	struct tar_stream *stream;
	struct tar_extract *extract;
	struct archive *archive;
	uint64_t entries;
	uint64_t stream_bytes; /* that libarchive got */
	uint64_t header_bytes; /* read since the last entry, while headers are */
	bool in_headers;
	bool in_padding; /* behind the content of an entry */
	bool ended; /* the stream */
	struct error stream_error;
};

static void cleanup_archive(struct archive **a)
{
	if (*a)
		(void)archive_read_free(*a); /* nothing is left to be reported */
}

static bool is_cancelled(const struct apply *a)
{
	return a->options->cancelled &&
	       atomic_load_explicit(a->options->cancelled, memory_order_relaxed);
}

static la_ssize_t give_bytes(struct archive *archive, void *apply, const void **ret_bytes)
{
	static const char zeros[512];
	struct apply *a = apply;
	long length = tar_stream_read(a->stream, ret_bytes, &a->stream_error);

	/* umoci 0.4 ends a layer with the last content: what is missing is filler. */
	if (length == 0 && a->in_padding && a->stream_bytes % sizeof(zeros) != 0) {
		*ret_bytes = zeros;
		length = (long)(sizeof(zeros) - a->stream_bytes % sizeof(zeros));
		a->stream_bytes = 0;
		return length;
	}
	if (length > 0 && a->in_headers) {
		a->header_bytes += (uint64_t)length;
		if (a->header_bytes > HEADERS_MAX)
			length = error_set(&a->stream_error, -EFBIG,
					   "the headers of an entry take more than %" PRIu64 " MiB",
					   HEADERS_MAX >> 20);
	}
	if (length < 0)
		archive_set_error(archive, EIO, "%s", a->stream_error.text);
	a->stream_bytes += (uint64_t)(length > 0 ? length : 0);
	a->ended = length == 0;
	return length;
}

/* What libarchive says, or what the stream said before. */
static int archive_failure(const struct apply *a, struct error *e)
{
	const char *text = archive_error_string(a->archive);

	if (a->stream_error.code < 0)
		return error_set(e, a->stream_error.code, "%s", a->stream_error.text);
	if (archive_errno(a->archive) == ENOMEM)
		return error_set(e, -ENOMEM, "out of memory");
	return error_set(e, -EBADMSG, "%s%s", text ? text : "the archive is corrupt",
			 a->ended ? ": it is cut off" : "");
}

static int write_all(int fd, const char *bytes, size_t length, int64_t offset)
{
	while (length > 0) {
		ssize_t written = pwrite(fd, bytes, length, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes += written;
		length -= (size_t)written;
		offset += written;
	}
	return 0;
}

/* Holes of sparse files stay holes. */
static int write_content(struct apply *a, struct archive_entry *entry, int fd, struct error *e)
{
	int64_t offset, end = 0;
	const void *bytes;
	size_t length;
	int r;

	for (;;) {
		int code;

		a->in_padding = end >= archive_entry_size(entry);
		code = archive_read_data_block(a->archive, &bytes, &length, &offset);
		if (code == ARCHIVE_EOF)
			break;
		if (code != ARCHIVE_OK)
			return archive_failure(a, e);
		if (is_cancelled(a))
			return error_set(e, -ECANCELED, "it was cancelled");
		r = write_all(fd, bytes, length, offset);
		if (r < 0)
			return error_set(e, r, "write: %s", strerror(-r));
		end = offset + (int64_t)length;
	}
	a->in_padding = false;
	if (archive_entry_size(entry) > end && ftruncate(fd, archive_entry_size(entry)) < 0)
		return error_set(e, -errno, "make it %lld bytes long: %s",
				 (long long)archive_entry_size(entry), strerror(errno));
	return 0;
}

static bool is_node(struct archive_entry *entry)
{
	mode_t type = archive_entry_filetype(entry);

	return type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO;
}

static int apply_entry(struct apply *a, struct archive_entry *entry, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	int r;

	if (a->options->no_nodes && is_node(entry))
		return error_set(e, -EPERM, "it is a device or a pipe");
	r = tar_extract_entry(a->extract, entry, &fd, e);
	if (r < 0 || fd < 0)
		return r;
	r = write_content(a, entry, fd, e);
	return r < 0 ? r : tar_extract_finish_file(entry, fd, e);
}

/* The header of the next entry: 1, 0 at the end. */
static int next_entry(struct apply *a, struct archive_entry **ret_entry, struct error *e)
{
	uint64_t limit = a->options->max_entries ? a->options->max_entries : TAR_APPLY_MAX_ENTRIES;
	int code;

	/* What the last entry has that nobody read is no header. */
	a->in_padding = true;
	if (a->entries > 0 && archive_read_data_skip(a->archive) < ARCHIVE_WARN)
		return archive_failure(a, e);
	a->in_padding = false;
	a->in_headers = true;
	a->header_bytes = 0;
	code = archive_read_next_header(a->archive, ret_entry);
	a->in_headers = false;
	if (code == ARCHIVE_EOF)
		return 0;
	/* A warning is about names that are not of this locale: they are taken as they are. */
	if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
		return archive_failure(a, e);
	if (++a->entries > limit)
		return error_set(e, -EFBIG, "the layer has more than %" PRIu64 " entries", limit);
	if (is_cancelled(a))
		return error_set(e, -ECANCELED, "it was cancelled");
	return 1;
}

static int apply_entries(struct apply *a, struct error *e)
{
	char shown[BENEATH_SHOWN_SIZE], last[BENEATH_SHOWN_SIZE] = "";
	struct archive_entry *entry;
	int r;

	while ((r = next_entry(a, &entry, e)) == 1) {
		const char *path = archive_entry_pathname(entry);

		r = apply_entry(a, entry, e);
		beneath_show(path ? path : "", shown);
		if (r < 0)
			return error_context(e, "entry %s", shown);
		(void)strcpy(last, shown);
	}
	if (r < 0 && *last)
		return error_context(e, "after entry %s", last);
	return r;
}

/* The digest is of every byte, those after the archive's end too. */
static int read_trailer(struct apply *a, struct error *e)
{
	uint64_t bytes = 0;
	const void *ignored;
	long length = 0;

	while (!a->ended && (length = tar_stream_read(a->stream, &ignored, e)) > 0) {
		bytes += (uint64_t)length;
		if (bytes > TRAILER_MAX)
			return error_set(e, -EFBIG,
					 "more than %" PRIu64 " MiB follow the archive's end",
					 TRAILER_MAX >> 20);
	}
	return length < 0 ? (int)length : 0;
}

static int open_archive(struct apply *a, struct error *e)
{
	a->in_headers = true;
	if (archive_read_support_format_tar(a->archive) != ARCHIVE_OK ||
	    archive_read_open(a->archive, a, NULL, give_bytes, NULL) != ARCHIVE_OK)
		return archive_failure(a, e);
	return 0;
}

static int apply_stream(struct apply *a, struct tar_stream_result *ret_result, struct error *e)
{
	int r = open_archive(a, e);

	if (r == 0)
		r = apply_entries(a, e);
	if (r == 0)
		r = read_trailer(a, e);
	if (r == 0)
		r = tar_extract_end(a->extract, e);
	return r < 0 ? r : tar_stream_end(a->stream, ret_result, e);
}

static int apply_layer(const struct tar_apply_options *options, struct tar_apply_result *ret_result,
		       struct error *e)
{
	const struct tar_stream_options from = {
		.source_fd = options->source_fd,
		.max_bytes = options->max_bytes,
		.cancelled = options->cancelled,
		.progress = options->progress,
		.user = options->user,
	};
	cleanup(tar_stream_free) struct tar_stream *stream = NULL;
	cleanup(tar_extract_free) struct tar_extract *extract = NULL;
	cleanup(archive) struct archive *archive = archive_read_new();
	struct tar_stream_result streamed;
	struct apply a = { .options = options, .archive = archive };
	int r;

	if (!archive)
		return error_set(e, -ENOMEM, "out of memory");
	r = tar_extract_new(options->layer_fd, options->lower_fds, options->lower_count, &extract,
			    e);
	if (r == 0)
		r = tar_stream_open(&from, &stream, e);
	if (r < 0)
		return r;
	a.extract = extract;
	a.stream = stream;
	r = apply_stream(&a, &streamed, e);
	if (r < 0)
		return r;
	*ret_result = (struct tar_apply_result){
		.blob = streamed.blob,
		.diff_id = streamed.diff_id,
		.blob_bytes = streamed.blob_bytes,
		.diff_bytes = streamed.diff_bytes,
		.entries = a.entries,
	};
	return 0;
}

int tar_apply(const struct tar_apply_options *options, struct tar_apply_result *ret_result,
	      struct error *e)
{
	/* libarchive would bring names into the locale's characters, and into one of Unicode's
	 * normal forms; to the C locale it can do neither, so that they stay as they are. */
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), before;
	int r;

	if (plain == (locale_t)0)
		return error_set(e, -ENOMEM, "out of memory");
	before = uselocale(plain);
	r = apply_layer(options, ret_result, e);
	(void)uselocale(before);
	freelocale(plain);
	return r;
}
