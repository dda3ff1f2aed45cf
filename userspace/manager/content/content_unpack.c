/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "content/blob_store.h"
#include "layer/tar_apply.h"
#include "manager/content/content_fetchers.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"

struct apply_watch {
	struct content_chain *job;
	const struct record_content *content;
};

static void applied(uint64_t source_bytes, void *user)
{
	const struct apply_watch *w = user;

	/* As with fetched(). */
	(void)content_progress_say(w->job->progress, "unpack", w->content->blob.text,
				   (int64_t)source_bytes, w->content->size_bytes);
}

static int check_digests(const struct record_content *c, const struct tar_apply_result *result,
			 struct error *e)
{
	if (!digest_equal(&c->blob, &result->blob))
		return error_set(e, -EBADMSG, "blob %s is damaged: it is %s now", c->blob.text,
				 result->blob.text);
	if (!digest_equal(&c->diff_id, &result->diff_id))
		return error_set(e, -EBADMSG,
				 "blob %s unpacks to %s, not to %s as the image says: a wrong "
				 "config, or layers in the wrong order",
				 c->blob.text, result->diff_id.text, c->diff_id.text);
	return 0;
}

/* Newest first. The caller closes them, also on failure. */
static int open_lowers(struct content_chain *job, const struct content_chain_layer *l, int *lowers,
		       size_t *ret_count, struct error *e)
{
	int code = 0;

	for (size_t i = l->below; i-- > 0 && code == 0;) {
		code = store_files_open_layer(job->m, job->chain[i], &lowers[*ret_count], e);
		*ret_count += code == 0;
	}
	return code;
}

static int fill_directory(struct content_chain *job, const struct content_chain_layer *l,
			  struct error *e)
{
	struct apply_watch watch = { job, l->content };
	struct tar_apply_options options = {
		.cancelled = content_progress_stop(job->progress),
		.progress = applied,
		.user = &watch,
	};
	cleanup(close_fd) int blob = -EBADF, directory = -EBADF;
	cleanup(free_ptr) int *lowers = calloc(l->below + 1, sizeof(*lowers));
	struct tar_apply_result result;
	int64_t size;
	int code = lowers ? blob_store_open_blob(job->m->blobs, &l->content->blob, &blob, &size, e)
			  : error_set(e, -ENOMEM, "out of memory");

	if (code == 0)
		code = store_files_open_layer(job->m, l->layer, &directory, e);
	if (code == 0)
		code = open_lowers(job, l, lowers, &options.lower_count, e);
	options.source_fd = blob;
	options.layer_fd = directory;
	options.lower_fds = lowers;
	if (code == 0) {
		code = tar_apply(&options, &result, e);
		if (code < 0)
			error_context(e, "unpack blob %s", l->content->blob.text);
	}
	for (size_t i = 0; i < options.lower_count; i++)
		(void)close(lowers[i]); /* nothing was written through it */
	if (code == 0)
		code = check_digests(l->content, &result, e);
	/* Otherwise a power cut might leave files without content behind a flag that says whole. */
	if (code == 0 && syncfs(directory) < 0)
		code = error_set(e, -errno, "sync layer %s: %s", l->layer, strerror(errno));
	return code;
}

/* The files are there: they become the layer's. */
static int adopt_directory(struct content_chain *job, const struct content_chain_layer *l,
			   struct error *e)
{
	struct manager *m = job->m;
	char files[STORE_FILES_PATH_SIZE];
	cleanup(close_fd) int directory = -EBADF;
	int code;

	store_files_layer_path(l->layer, files);
	if (unlinkat(m->root_fd, files, AT_REMOVEDIR) < 0 ||
	    renameat(m->root_fd, job->adopt, m->root_fd, files) < 0)
		return error_set(e, -errno, "make %s of %s: %s", files, job->adopt,
				 strerror(errno));
	code = store_files_open_layer(m, l->layer, &directory, e);
	if (code == 0 && syncfs(directory) < 0)
		code = error_set(e, -errno, "sync layer %s: %s", l->layer, strerror(errno));
	return code;
}

static int measure(struct content_chain *job, const struct content_chain_layer *l,
		   struct disk_usage *ret_size, struct error *e)
{
	cleanup(close_fd) int directory = -EBADF;
	int code = store_files_open_layer(job->m, l->layer, &directory, e);

	return code < 0 ? code
			: disk_walk(directory, content_progress_stop(job->progress), ret_size, e);
}

int content_unpack_layer(struct content_chain *job, const struct content_chain_layer *l,
			 struct disk_usage *ret_size, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct manager *m = job->m;
	int code = job->adopt ? 0 : content_fetchers_wait(job, l, e);

	if (code == 0)
		code = store_files_discard(m, l->layer, e); /* of an attempt that was cut off */
	if (code == 0)
		code = store_files_make(m, l->layer, e);
	if (code < 0)
		return code;
	code = job->adopt ? adopt_directory(job, l, e) : fill_directory(job, l, e);
	if (code == 0)
		code = measure(job, l, ret_size, e);
	if (code == 0) {
		layer_rows_set_lazy(&c, l->layer, false);
		layer_rows_set_size(&c, l->layer, ret_size->allocated_bytes,
				    ret_size->apparent_bytes, ret_size->inodes);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	}
	if (code < 0)
		(void)store_files_discard(m, l->layer, NULL); /* as above, if it fails */
	return code;
}
