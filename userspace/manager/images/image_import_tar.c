/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_import_tar.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/regular_file.h"
#include "content/blob_writer.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "layer/tar_apply.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_extract.h"
#include "manager/content/content_progress.h"
#include "manager/images/image_by_blob.h"
#include "manager/images/image_work.h"
#include "manager/records/record_hold.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

#define PIECE_SIZE (256 << 10)

/* The digests of a tar are known only once it has been unpacked: it is unpacked into scratch/, and
 * its record then takes these files for its layer. */
struct tar_import {
	struct manager *m;
	const struct image_reference *reference;
	struct content_progress *progress;
	char *scratch;
	int64_t size_bytes; /* of the file */
	int64_t unpack_ns; /* that unpacking it took */
	struct tar_apply_result result;
	const char *media_type;
};

static void tar_import_end(struct tar_import *t)
{
	if (t->scratch)
		store_files_drop_scratch(t->m, t->scratch);
	free(t->scratch);
	content_progress_free(t->progress);
}
DEFINE_CLEANUP_VALUE(struct tar_import, tar_import_end)

static void unpacked(uint64_t bytes, void *user)
{
	struct tar_import *t = user;

	/* A cancellation reaches tar_apply() by the flag that it looks at. */
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
	int64_t begin;
	int code = open_file(t, &file, e);

	if (code < 0)
		return code;
	code = store_files_make_scratch(t->m, &t->scratch, e);
	if (code < 0)
		return code;
	directory = openat(t->m->root_fd, t->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fchmod(directory, 0755) < 0)
		return error_set(e, -errno, "open %s: %s", t->scratch, strerror(errno));
	options.source_fd = file;
	options.layer_fd = directory;
	begin = clock_monotonic_ns();
	code = tar_apply(&options, &t->result, e);
	if (code < 0)
		return code;
	t->unpack_ns = clock_monotonic_ns() - begin;
	if (t->result.notes.count > 0)
		manager_report(t->m, false, "archive=\"%s\" left out of it: %" PRIu64 " (%s)",
			       t->reference->path, t->result.notes.count, t->result.notes.text);
	t->media_type = find_media_type(file, &t->result);
	return 0;
}

static int copy_file(struct tar_import *t, int file, struct blob_writer *w, struct error *e)
{
	cleanup(free_ptr) char *piece = malloc(PIECE_SIZE);
	ssize_t got;

	if (!piece)
		return error_set(e, -ENOMEM, "out of memory");
	while ((got = read(file, piece, PIECE_SIZE)) != 0) {
		int code = got < 0 ? error_set(e, -errno, "read: %s", strerror(errno))
				   : blob_writer_add(w, piece, (size_t)got, e);

		if (code < 0)
			return code;
		if (content_progress_check(t->progress) < 0)
			return error_set(e, -ECANCELED, "the import was cancelled");
	}
	return 0;
}

/* Copies the file into the store. It is read a second time; the digest proves that it is the same.
 */
static int keep_blob(struct tar_import *t, struct error *e)
{
	struct blob_expectation expected = { &t->result.blob, (int64_t)t->result.blob_bytes,
					     content_progress_stop(t->progress) };
	cleanup(blob_writer_abandon) struct blob_writer *w = NULL;
	cleanup(close_fd) int file = -EBADF;
	struct digest digest;
	int64_t size;
	int code = open_file(t, &file, e);

	if (code < 0)
		return code;
	code = blob_writer_begin(t->m->blobs, &expected, &w, &size, e);
	if (code < 0)
		return code == -EEXIST ? 0 : code;
	code = blob_writer_reset(w, e);
	if (code == 0)
		code = copy_file(t, file, w, e);
	if (code < 0) {
		(void)blob_writer_reset(w, NULL); /* the disk may need it; the first error counts */
		return code;
	}
	code = blob_writer_commit(take_ptr(w), &digest, &size, e);
	if (code < 0)
		return code;
	content_blobs_arrived(t->m, &t->result.blob, (int64_t)t->result.blob_bytes);
	return 0;
}

static int make_record(struct tar_import *t, const struct image_import_options *o,
		       struct image_work *work, char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
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
	int code = image_by_blob(t->m, &blob, &work->holder, ret_id, &is_new, e);

	if (code < 0)
		return code;
	if (is_new)
		memcpy(work->made[work->made_count++], ret_id, sizeof(work->made[0]));
	return content_extract_adopt(t->m, ret_id, t->scratch, t->unpack_ns, e);
}

static int import_unpacked(struct tar_import *t, const struct image_import_options *o,
			   const struct lease_holder *holder, struct image_summary *s,
			   struct error *e)
{
	cleanup(content_blobs_unpin) struct blob_pin pin = { 0 };
	cleanup(image_work_end) struct image_work work = { 0 };
	struct record_get_options get = { 0 };
	char id[RECORD_ID_LENGTH + 1];
	int code = content_blobs_pin(t->m, &t->result.blob, &pin, e);

	if (code < 0)
		return code;
	code = keep_blob(t, e);
	if (code < 0)
		return code;
	code = image_work_begin(t->m, 1, &work, e);
	if (code < 0)
		return code;
	code = make_record(t, o, &work, id, e);
	if (code < 0)
		return code;
	code = record_hold_get(t->m, id, &get, holder, s->id, e);
	if (code < 0)
		return code;
	work.succeeded = true;
	s->layers = 1;
	s->new_layers = work.made_count;
	s->bytes = (int64_t)t->result.blob_bytes;
	return 0;
}

int image_import_tar(struct manager *m, const struct image_reference *reference,
		     const struct image_import_options *options, const struct lease_holder *holder,
		     struct image_summary *s, struct error *e)
{
	cleanup(tar_import_end) struct tar_import t = { .m = m, .reference = reference };

	manager_assert_unlocked(m);
	if (options->lazy)
		return error_set(e, -EINVAL,
				 "%s: '%s': a plain tar cannot be imported as lazy, since its "
				 "digests are known only once it is unpacked",
				 reference->path, reference->text);
	t.progress = content_progress_new(&options->watch);
	if (!t.progress)
		return error_set(e, -ENOMEM, "%s: out of memory", reference->path);
	if (unpack(&t, e) < 0 || import_unpacked(&t, options, holder, s, e) < 0)
		return error_context(e, "%s", reference->path);
	return 0;
}
