/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain tar becomes a record of its own. What it is called is known only once it has been
 * unpacked: it is unpacked into scratch/, and its record then takes these files for its layer.
 */
#include "manager/images/image_import_tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/regular_file.h"
#include "content/blob_writer.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "layer/tar_apply.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_extract.h"
#include "manager/images/image_import.h"
#include "manager/content/content_progress.h"
#include "manager/images/image_by_blob.h"
#include "manager/images/image_work.h"
#include "manager/records/leases.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/records/record_hold.h"
#include "manager/state/store_files.h"

#define PIECE_SIZE (256 << 10)

struct tar_import {
	struct manager *m;
	const struct image_reference *reference;
	struct content_progress *progress;
	char *scratch;
	int64_t size_bytes; /* of the file */
	struct tar_apply_result result;
	const char *media_type;
};

static void unpacked(uint64_t bytes, void *user)
{
	struct tar_import *t = user;

	/* What it returns is in the flag that tar_apply() looks at. */
	(void)content_progress_say(t->progress, "unpack", t->reference->path, (int64_t)bytes,
				   t->size_bytes);
}

static int open_file(struct tar_import *t, int *ret_fd, struct error *e)
{
	const char *path = t->reference->path;
	int code = regular_file_open(AT_FDCWD, path, 0, ret_fd, &t->size_bytes);

	if (code == -EINVAL)
		return error_set(e, code, "%s is not a regular file", path);
	return code < 0 ? error_set(e, code, "open %s: %s", path, strerror(-code)) : 0;
}

static const char *find_media_type(int fd, const struct tar_apply_result *result)
{
	unsigned char magic[2] = { 0 };

	if (digest_equal(&result->blob, &result->diff_id))
		return IMAGE_MEDIA_TYPE_LAYER;
	if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && magic[0] == 0x1f)
		return IMAGE_MEDIA_TYPE_LAYER_GZIP;
	return IMAGE_MEDIA_TYPE_LAYER_ZSTD;
}

static int unpack(struct tar_import *t, struct error *e)
{
	cleanup(close_fd) int file = -EBADF, directory = -EBADF;
	struct tar_apply_options options = { .cancelled = content_progress_stop(t->progress),
					     .progress = unpacked,
					     .user = t };
	int code = open_file(t, &file, e);

	if (code == 0)
		code = store_files_make_scratch(t->m, &t->scratch, e);
	if (code < 0)
		return code;
	directory = openat(t->m->root_fd, t->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fchmod(directory, 0755) < 0)
		return error_set(e, -errno, "open %s: %s", t->scratch, strerror(errno));
	options.source_fd = file;
	options.layer_fd = directory;
	code = tar_apply(&options, &t->result, e);
	if (code < 0)
		return code;
	t->media_type = find_media_type(file, &t->result);
	return 0;
}

/* What has been unpacked is what is kept: the digest sees to that. */
static int keep_blob(struct tar_import *t, struct error *e)
{
	struct blob_expectation expected = { &t->result.blob, (int64_t)t->result.blob_bytes,
					     content_progress_stop(t->progress) };
	cleanup(blob_writer_abandon) struct blob_writer *w = NULL;
	cleanup(free_ptr) char *piece = malloc(PIECE_SIZE);
	cleanup(close_fd) int file = -EBADF;
	struct digest digest;
	int64_t size;
	ssize_t got;
	int code = piece ? open_file(t, &file, e) : error_set(e, -ENOMEM, "out of memory");

	if (code == 0)
		code = blob_writer_begin(t->m->blobs, &expected, &w, &size, e);
	if (code == -EEXIST)
		return 0;
	if (code == 0)
		code = blob_writer_reset(w, e);
	while (code == 0 && (got = read(file, piece, PIECE_SIZE)) != 0) {
		code = got < 0 ? error_set(e, -errno, "read: %s", strerror(errno))
			       : blob_writer_add(w, piece, (size_t)got, e);
		if (code == 0 && content_progress_check(t->progress) < 0)
			code = error_set(e, -ECANCELED, "it was cancelled");
	}
	if (code < 0 && w)
		(void)blob_writer_reset(w, NULL); /* the disk may need it; the first error counts */
	if (code == 0)
		code = blob_writer_commit(take_ptr(w), &digest, &size, e);
	if (code == 0)
		content_blobs_arrived(t->m, &t->result.blob, (int64_t)t->result.blob_bytes);
	return code;
}

static int make_record(struct tar_import *t, const struct image_import_options *o,
		       const struct lease_holder *work, const struct lease_holder *holder,
		       struct image_summary *s, struct error *e)
{
	struct record_get_options get = { 0 };
	char made[1][RECORD_ID_LENGTH + 1];
	struct image_blob blob = {
		.digest = t->result.blob.text,
		.media_type = t->media_type,
		.size_bytes = (int64_t)t->result.blob_bytes,
		.diff_id = t->result.diff_id.text,
		.description = o->source,
		.image_ref = o->source,
		.bare = true,
		.no_use = true,
	};
	bool is_new = false;
	int code = image_by_blob(t->m, &blob, work, made[0], &is_new, e);

	if (code < 0)
		return code;
	code = content_extract_adopt(t->m, made[0], t->scratch, e);
	if (code == 0)
		code = record_hold_get(t->m, made[0], &get, holder, s->id, e);
	leases_connection_closed(t->m, work->connection);
	if (code < 0 && is_new)
		image_work_undo(t->m, made, 1);
	s->layers = 1;
	s->new_layers = is_new;
	s->bytes = (int64_t)t->result.blob_bytes;
	return code;
}

static int import_unpacked(struct tar_import *t, const struct image_import_options *o,
			   const struct lease_holder *holder, struct image_summary *s,
			   struct error *e)
{
	struct lease_holder work = image_work_holder(t->m);
	int code;

	if (content_blobs_pin(t->m, &t->result.blob) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	code = keep_blob(t, e);
	if (code == 0)
		code = make_record(t, o, &work, holder, s, e);
	content_blobs_unpin(t->m, &t->result.blob);
	return code;
}

int image_import_tar(struct manager *m, const struct image_reference *reference,
		     const struct image_import_options *options, const struct lease_holder *holder,
		     struct image_summary *s, struct error *e)
{
	struct tar_import t = { .m = m,
				.reference = reference,
				.progress = content_progress_new(&options->watch) };
	int code = t.progress ? 0 : error_set(e, -ENOMEM, "out of memory");

	if (code == 0 && options->lazy)
		code = error_set(e, -EINVAL,
				 "'%s': a plain tar cannot be lazy, since it must be unpacked to "
				 "know what it is",
				 reference->text);
	if (code == 0)
		code = unpack(&t, e);
	if (code == 0)
		code = import_unpacked(&t, options, holder, s, e);
	if (code < 0)
		error_context(e, "%s", reference->path);
	if (t.scratch)
		store_files_drop_scratch(m, t.scratch);
	free(t.scratch);
	content_progress_free(t.progress);
	return code;
}
