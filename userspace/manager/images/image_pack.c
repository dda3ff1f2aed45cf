/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "content/blob_writer.h"
#include "image/image_manifest.h"
#include "layer/tar_diff.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_extract.h"
#include "manager/content/content_use.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

#define PIECE_SIZE (256 << 10)

/* One thread writes the tar into a pipe, another one reads it. */
struct packing {
	struct content_progress *progress;
	const char *layer;
	struct tar_diff_options options;
	struct tar_diff_result result;
	int code;
	struct error error;
};

static void packed(uint64_t file_bytes, void *user)
{
	struct packing *p = user;

	/* A cancellation reaches tar_diff() by the flag that it looks at. */
	(void)content_progress_say(p->progress, "pack", p->layer, (int64_t)file_bytes, -1);
}

static void *write_tar(void *arg)
{
	struct packing *p = arg;

	p->code = tar_diff(&p->options, &p->result, &p->error);
	/* The reader sees the end of the tar; `code` tells whether it is whole. */
	(void)close(p->options.output_fd);
	return NULL;
}

static int pump(int fd, int (*write)(const void *bytes, size_t length, void *user), void *user,
		struct content_progress *progress, struct error *e)
{
	cleanup(free_ptr) char *piece = malloc(PIECE_SIZE);
	ssize_t got;
	int code = piece ? 0 : error_set(e, -ENOMEM, "out of memory");

	while (code == 0 && (got = read(fd, piece, PIECE_SIZE)) != 0)
		code = got < 0 ? error_set(e, -errno, "read: %s", strerror(errno))
			       : write(piece, (size_t)got, user);
	if (code < 0)
		content_progress_end(progress);
	return code;
}

static enum tar_compression compression_of(enum image_compression compression)
{
	switch (compression) {
	case IMAGE_GZIP:
		return TAR_COMPRESSION_GZIP;
	case IMAGE_ZSTD:
		return TAR_COMPRESSION_ZSTD;
	default:
		return TAR_COMPRESSION_NONE;
	}
}

static int pack(struct manager *m, struct packing *p,
		int (*write)(const void *bytes, size_t length, void *user), void *user,
		struct error *e)
{
	cleanup(close_fd) int directory = -EBADF, out = -EBADF;
	int ends[2];
	pthread_t thread;
	int code = store_files_open_layer(m, p->layer, &directory, e);

	if (code < 0)
		return code;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, -errno, "make a pipe: %s", strerror(errno));
	out = ends[0];
	(void)fcntl(out, F_SETPIPE_SZ, 1 << 20); /* a smaller pipe works, too */
	p->options.layer_fd = directory;
	p->options.output_fd = ends[1];
	p->options.cancelled = content_progress_stop(p->progress);
	p->options.progress = packed;
	p->options.user = p;
	if (pthread_create(&thread, NULL, write_tar, p) != 0) {
		(void)close(ends[1]);
		return error_set(e, -EAGAIN, "cannot start a thread to pack layer %s", p->layer);
	}
	code = pump(out, write, user, p->progress, e);
	(void)close(take_fd(&out)); /* a thread that still writes gets EPIPE */
	pthread_join(thread, NULL);
	if (code < 0)
		return code;
	return p->code < 0 ? error_set(e, p->code, "pack layer %s: %s", p->layer, p->error.text)
			   : 0;
}

struct add_to_blob {
	struct blob_writer *writer;
	struct error *e;
};

static int add_to_blob(const void *bytes, size_t length, void *user)
{
	struct add_to_blob *a = user;

	return blob_writer_add(a->writer, bytes, length, a->e);
}

static const char *media_type_of(enum tar_compression compression)
{
	switch (compression) {
	case TAR_COMPRESSION_GZIP:
		return IMAGE_MEDIA_TYPE_LAYER_GZIP;
	case TAR_COMPRESSION_ZSTD:
		return IMAGE_MEDIA_TYPE_LAYER_ZSTD;
	default:
		return IMAGE_MEDIA_TYPE_LAYER;
	}
}

int image_pack_layer(struct manager *m, const char *layer, enum image_compression compression,
		     struct content_progress *progress, struct record_content *ret_content,
		     struct blob_pin *ret_pin, struct error *e)
{
	struct packing p = { .progress = progress,
			     .layer = layer,
			     .options = { .compression = compression_of(
						  compression == IMAGE_USUAL_COMPRESSION
							  ? IMAGE_GZIP
							  : compression) } };
	struct blob_expectation expected = { NULL, -1, content_progress_stop(progress) };
	cleanup(blob_writer_abandon) struct blob_writer *w = NULL;
	cleanup(content_blobs_unpin) struct blob_pin pin = { 0 };
	struct add_to_blob add = { .e = e };
	struct digest digest;
	int64_t size;
	int code = blob_writer_begin(m->blobs, &expected, &w, &size, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	add.writer = w;
	code = pack(m, &p, add_to_blob, &add, e);
	if (code < 0)
		return code;
	/* Pinned before it is visible, so that it is not collected. */
	code = content_blobs_pin(m, &p.result.blob, &pin, e);
	if (code < 0)
		return code;
	code = blob_writer_commit(take_ptr(w), &digest, &size, e);
	if (code < 0 && code != -EEXIST)
		return code;
	size = (int64_t)p.result.blob_bytes;
	content_blobs_arrived(m, &p.result.blob, size);
	*ret_content = (struct record_content){ .blob = p.result.blob,
						.diff_id = p.result.diff_id,
						.size_bytes = size,
						.media_type = (char *)media_type_of(
							p.options.compression) };
	*ret_pin = pin;
	pin = (struct blob_pin){ 0 };
	return 0;
}

static int find_to_pack(struct manager *m, const char *id, struct content_use *use,
			char ret_layer[LAYER_NAME_LENGTH + 1], struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = manager_find(locked, id, &r, e);

	if (code < 0)
		return code;
	if (r->is_mutable && record_is_held(r))
		return error_set(e, -EBUSY,
				 "record %s is mutable and held, so that its files may change "
				 "(varve commit %.12s makes it immutable)",
				 r->id, r->id);
	memcpy(ret_layer, r->layer->name, sizeof(r->layer->name));
	content_use_begin(locked, r, use);
	return 0;
}

int image_pack_diff(struct manager *m, const char *id, enum image_compression compression,
		    const struct content_watch *watch,
		    int (*write)(const void *bytes, size_t length, void *user), void *user,
		    struct error *e)
{
	cleanup(content_progress_free) struct content_progress *progress =
		content_progress_new(watch);
	struct packing p = { .progress = progress,
			     .options = { .compression = compression_of(compression) } };
	cleanup(content_use_end) struct content_use use = { 0 };
	char layer[LAYER_NAME_LENGTH + 1];
	int code;

	manager_assert_unlocked(m);
	if (!progress)
		return error_set(e, -ENOMEM, "out of memory");
	code = content_extract(m, id, watch, e);
	if (code < 0)
		return code;
	code = find_to_pack(m, id, &use, layer, e);
	if (code < 0)
		return code;
	p.layer = layer;
	return pack(m, &p, write, user, e);
}
