/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/new_file.h"
#include "content/blob_fetch.h"
#include "content/oci_layout.h"
#include "image/image_manifest.h"
#include "layer/tar_diff.h"
#include "manager/content/content_extract.h"
#include "manager/content/content_progress.h"
#include "manager/content/content_source.h"
#include "manager/images/image_pack.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

struct send_watch {
	struct exporting *x;
	const char *action, *digest;
};

static void sent(int64_t done_bytes, int64_t total_bytes, void *user)
{
	const struct send_watch *w = user;

	/* A cancellation reaches the work by the flag that it looks at. */
	(void)content_progress_say(w->x->progress, w->action, w->digest, done_bytes, total_bytes);
}

/* Calls send() for each layer, then for the config: the destination gets the blobs before the
 * manifest that names them. */
static int for_each_blob(struct exporting *x,
			 int (*send)(struct exporting *x, const struct digest *digest,
				     int64_t size_bytes, void *user, struct error *e),
			 void *user, struct error *e)
{
	for (size_t n = 0; n < x->count; n++) {
		const struct record_content *c = x->layers[n].content;
		int code = send(x, &c->blob, c->size_bytes, user, e);

		if (code < 0)
			return code;
	}
	return send(x, &x->config.digest, x->config.size_bytes, user, e);
}

/* ---- layouts ---- */

static int give_blob(struct exporting *x, const struct digest *digest, int64_t size_bytes,
		     void *user, struct error *e)
{
	struct send_watch watch = { x, "copy", digest->text };
	struct oci_layout_copy copy = { .digest = *digest,
					.size_bytes = size_bytes,
					.cancelled = content_progress_stop(x->progress),
					.progress = sent,
					.user = &watch };

	return oci_layout_give_blob(*(int *)user, x->m->blobs, &copy, e);
}

static int write_index(struct exporting *x, int layout, struct error *e)
{
	cleanup(free_ptr) void *before = NULL;
	cleanup(free_ptr) char *text = NULL;
	size_t before_length = 0, length;
	int code = oci_layout_read_index(layout, IMAGE_JSON_MAX, &before, &before_length, e);

	if (code < 0 && code != -ENOENT)
		return code;
	code = image_manifest_add_to_index(before, before_length, &x->manifest, x->to->tag, &text,
					   &length, e);
	return code < 0 ? code : oci_layout_write_index(layout, text, length, e);
}

static int send_to_layout(struct exporting *x, const char *path, struct error *e)
{
	cleanup(close_fd) int layout = -EBADF;
	int code = oci_layout_make(path, &layout, e);

	if (code < 0)
		return code;
	code = for_each_blob(x, give_blob, &layout, e);
	if (code < 0)
		return code;
	code = give_blob(x, &x->manifest.digest, x->manifest.size_bytes, &layout, e);
	return code < 0 ? code : write_index(x, layout, e);
}

/* ---- files ---- */

static int write_failed(const struct exporting *x, int code, struct error *e)
{
	return error_set(e, code, "write %s: %s", x->to->path, strerror(-code));
}

/* The directory that the destination is in, and its name there. */
static int open_parent(const struct exporting *x, int *ret_directory, const char **ret_name,
		       struct error *e)
{
	const char *slash = strrchr(x->to->path, '/');
	size_t length = slash ? (size_t)(slash - x->to->path) + 1 : 0;
	cleanup(free_ptr) char *parent = slash ? strndup(x->to->path, length) : strdup(".");
	int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return write_failed(x, parent ? -errno : -ENOMEM, e);
	*ret_directory = fd;
	*ret_name = x->to->path + length;
	return 0;
}

/* Writes the directory's tar to the destination, where it appears when it is whole and on disk. */
static int write_tar(struct exporting *x, int directory, enum tar_compression compression,
		     struct error *e)
{
	struct tar_diff_options options = { .layer_fd = directory,
					    .compression = compression,
					    .cancelled = content_progress_stop(x->progress) };
	cleanup(close_fd) int parent = -EBADF;
	cleanup(new_file_end) struct new_file file = NEW_FILE_NONE;
	struct tar_diff_result result;
	const char *name = NULL;
	int code = open_parent(x, &parent, &name, e);

	if (code < 0)
		return code;
	code = new_file_begin(parent, &file);
	if (code < 0)
		return write_failed(x, code, e);
	options.output_fd = file.fd;
	code = tar_diff(&options, &result, e);
	if (code < 0)
		return code;
	code = new_file_publish(&file, name);
	if (code < 0)
		return write_failed(x, code, e);
	x->packed_bytes += (int64_t)result.blob_bytes;
	return 0;
}

/* `scratch`: a directory of the store, for the layout that becomes the archive. */
static int send_by_scratch(struct exporting *x, const char *scratch, struct error *e)
{
	cleanup(free_ptr) char *path = NULL;
	cleanup(close_fd) int directory = -EBADF;
	int code;

	if (asprintf(&path, "%s/%s", x->m->root, scratch) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	code = send_to_layout(x, path, e);
	if (code < 0)
		return code;
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return error_set(e, -errno, "open %s: %s", path, strerror(errno));
	return write_tar(x, directory, TAR_COMPRESSION_NONE, e);
}

static int send_to_archive(struct exporting *x, struct error *e)
{
	cleanup(free_ptr) char *scratch = NULL;
	int code = store_files_make_scratch(x->m, &scratch, e);

	if (code < 0)
		return code;
	code = send_by_scratch(x, scratch, e);
	store_files_drop_scratch(x->m, scratch);
	return code;
}

/* The record's own layer. */
static int send_to_tar(struct exporting *x, struct error *e)
{
	static const enum tar_compression compressions[] = {
		[IMAGE_USUAL_COMPRESSION] = TAR_COMPRESSION_NONE,
		[IMAGE_GZIP] = TAR_COMPRESSION_GZIP,
		[IMAGE_ZSTD] = TAR_COMPRESSION_ZSTD,
		[IMAGE_UNCOMPRESSED] = TAR_COMPRESSION_NONE,
	};
	const struct export_layer *top = &x->layers[x->count - 1];
	cleanup(close_fd) int directory = -EBADF;
	int code = content_extract(x->m, top->id, &x->o->watch, e);

	if (code < 0)
		return code;
	code = store_files_open_layer(x->m, top->layer, &directory, e);
	return code < 0 ? code : write_tar(x, directory, compressions[x->o->compression], e);
}

/* ---- registries ---- */

static struct fetch_source source_of(const struct exporting *x)
{
	return (struct fetch_source){ .registry = x->to->registry,
				      .repository = x->to->repository };
}

static int push_one(struct exporting *x, const struct digest *digest, int64_t size_bytes,
		    void *user, struct error *e)
{
	struct send_watch watch = { x, "push", digest->text };
	struct fetch_control control =
		content_source_control(x->m, content_progress_stop(x->progress));
	struct fetch_source source = source_of(x);
	int code;

	(void)user;
	control.progress = sent;
	control.user = &watch;
	code = push_blob(&control, x->m->blobs, &source, digest, e);
	if (code < 0)
		return code;
	/* Reports also a blob that the registry had already. */
	(void)content_progress_say(x->progress, "push", digest->text, size_bytes, size_bytes);
	return 0;
}

static int send_to_registry(struct exporting *x, struct error *e)
{
	struct fetch_control control =
		content_source_control(x->m, content_progress_stop(x->progress));
	struct fetch_source source = source_of(x);
	cleanup(free_ptr) void *bytes = NULL;
	size_t length;
	int code = for_each_blob(x, push_one, NULL, e);

	if (code < 0)
		return code;
	code = content_source_read(x->m, &x->manifest.digest, &bytes, &length, e);
	if (code < 0)
		return code;
	return push_manifest(&control, &source, x->to->tag ? x->to->tag : "latest",
			     IMAGE_MEDIA_TYPE_MANIFEST, bytes, length, e);
}

int image_send(struct exporting *x, struct error *e)
{
	manager_assert_unlocked(x->m);
	switch (x->to->transport) {
	case IMAGE_OCI:
		return send_to_layout(x, x->to->path, e);
	case IMAGE_OCI_ARCHIVE:
		return send_to_archive(x, e);
	case IMAGE_TAR:
		return send_to_tar(x, e);
	default:
		return send_to_registry(x, e);
	}
}
