/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_apply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/space_limit.h"
#include "layer/tar_extract.h"
#include "layer/tar_reader.h"
#include "layer/tar_stream.h"

/* The limit of what may follow the archive's end. */
#define TRAILER_MAX ((uint64_t)64 << 20)

struct apply {
	const struct tar_apply_options *options;
	struct tar_stream *stream;
	struct tar_reader *reader;
	struct tar_extract *extract;
	struct space_limit space;
	struct tar_notes notes;
	uint64_t entries;
};

static int check_cancelled(const struct apply *a, struct error *e)
{
	if (a->options->cancelled &&
	    atomic_load_explicit(a->options->cancelled, memory_order_relaxed))
		return error_set(e, -ECANCELED, "it was cancelled");
	return 0;
}

static long read_stream(void *stream, const void **ret_bytes, struct error *e)
{
	return tar_stream_read(stream, ret_bytes, e);
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
static int write_content(struct apply *a, const struct tar_entry *entry, int fd, struct error *e)
{
	int64_t offset, end = 0;
	const void *bytes;
	size_t length;
	int code;

	while ((code = tar_reader_content(a->reader, &bytes, &length, &offset, e)) == 1) {
		code = check_cancelled(a, e);
		if (code < 0)
			return code;
		code = space_limit_take(&a->space, length, 0, e);
		if (code < 0)
			return code;
		code = write_all(fd, bytes, length, offset);
		if (code < 0)
			return error_set(e, code, "write: %s", strerror(-code));
		end = offset + (int64_t)length;
	}
	if (code < 0)
		return code;
	if (entry->size > end && ftruncate(fd, entry->size) < 0)
		return error_set(e, -errno, "make it %lld bytes long: %s", (long long)entry->size,
				 strerror(errno));
	return 0;
}

static bool is_node(const struct tar_entry *entry)
{
	return entry->type == TAR_CHARACTER || entry->type == TAR_BLOCK_DEVICE ||
	       entry->type == TAR_FIFO;
}

static int apply_entry(struct apply *a, const struct tar_entry *entry, struct error *e)
{
	uint64_t limit = a->options->max_entries ? a->options->max_entries : TAR_APPLY_MAX_ENTRIES;
	cleanup(close_fd) int fd = -EBADF;
	int code;

	if (++a->entries > limit)
		return error_set(e, -EFBIG, "the layer has more than %" PRIu64 " entries", limit);
	if (a->options->no_nodes && is_node(entry))
		return error_set(e, -EPERM, "it is a device or a pipe");
	code = check_cancelled(a, e);
	if (code < 0)
		return code;
	code = space_limit_take(&a->space, 0, 1, e);
	if (code < 0)
		return code;
	code = tar_extract_entry(a->extract, entry, &fd, e);
	if (code < 0 || fd < 0)
		return code;
	code = write_content(a, entry, fd, e);
	return code < 0 ? code : tar_extract_finish_file(a->extract, entry, fd, e);
}

static int apply_entries(struct apply *a, struct error *e)
{
	char shown[BENEATH_SHOWN_SIZE], last[BENEATH_SHOWN_SIZE] = "";
	const struct tar_entry *entry;
	int code;

	while ((code = tar_reader_next(a->reader, &entry, e)) == 1) {
		beneath_show(entry->path, shown);
		code = apply_entry(a, entry, e);
		if (code < 0)
			return error_context(e, "entry %s", shown);
		(void)strcpy(last, shown);
	}
	if (code < 0 && *last)
		return error_context(e, "after entry %s", last);
	return code;
}

/* The digest is of every byte, those after the archive's end too. */
static int read_trailer(struct apply *a, struct error *e)
{
	bool zeros;
	int code = tar_reader_end(a->reader, TRAILER_MAX, &zeros, e);

	if (code == 0 && !zeros)
		tar_notes_add(&a->notes, NULL, "bytes after the archive's end left out");
	return code;
}

static int apply_stream(struct apply *a, struct tar_stream_result *ret_result, struct error *e)
{
	int code = apply_entries(a, e);

	if (code < 0)
		return code;
	code = read_trailer(a, e);
	if (code < 0)
		return code;
	code = tar_extract_end(a->extract, e);
	return code < 0 ? code : tar_stream_end(a->stream, ret_result, e);
}

int tar_apply(const struct tar_apply_options *options, struct tar_apply_result *ret_result,
	      struct error *e)
{
	const struct tar_stream_options from = {
		.source_fd = options->source_fd,
		.max_bytes = options->max_bytes,
		.cancelled = options->cancelled,
		.progress = options->progress,
		.user = options->user,
	};
	const struct lower_layers lowers = { options->lower_fds, options->lower_count };
	cleanup(tar_stream_free) struct tar_stream *stream = NULL;
	cleanup(tar_extract_free) struct tar_extract *extract = NULL;
	cleanup(tar_reader_free) struct tar_reader *reader = NULL;
	struct tar_stream_result streamed;
	struct apply a = { .options = options, .space = { .directory = options->layer_fd } };
	int code = tar_extract_new(options->layer_fd, &lowers, options->as_containerd, &a.notes,
				   &extract, e);

	if (code < 0)
		return code;
	code = tar_stream_open(&from, &stream, e);
	if (code < 0)
		return code;
	reader = tar_reader_new(&(struct tar_source){ read_stream, stream });
	if (!reader)
		return error_set(e, -ENOMEM, "out of memory");
	a.extract = extract;
	a.stream = stream;
	a.reader = reader;
	code = apply_stream(&a, &streamed, e);
	if (code < 0)
		return code;
	*ret_result = (struct tar_apply_result){
		.blob = streamed.blob,
		.diff_id = streamed.diff_id,
		.blob_bytes = streamed.blob_bytes,
		.diff_bytes = streamed.diff_bytes,
		.entries = a.entries,
		.notes = a.notes,
	};
	return 0;
}
