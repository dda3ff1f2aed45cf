/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "content/blob_store.h"
#include "layer/layer_sync.h"
#include "layer/tar_apply.h"
#include "manager/state/lower_directories.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"

struct apply_watch {
	struct content_progress *progress;
	const struct record_content *content;
};

static void applied(uint64_t source_bytes, void *user)
{
	const struct apply_watch *w = user;

	/* A cancellation reaches tar_apply() by the flag that it looks at. */
	(void)content_progress_say(w->progress, "unpack", w->content->blob.text,
				   (int64_t)source_bytes, w->content->size_bytes);
}

static int check_digests(const struct record_content *c, const struct tar_apply_result *result,
			 struct error *e)
{
	if (!digest_equal(&c->blob, &result->blob))
		return error_set(e, -EBADMSG, "blob %s is damaged: its digest is now %s",
				 c->blob.text, result->blob.text);
	if (!digest_equal(&c->diff_id, &result->diff_id))
		return error_set(e, -EBADMSG,
				 "blob %s unpacks to %s, not to %s as the image says: a wrong "
				 "config, or layers in the wrong order",
				 c->blob.text, result->diff_id.text, c->diff_id.text);
	return 0;
}

static int open_lowers(struct content_chain *chain, const struct content_chain_layer *l,
		       struct lower_directories *lowers, struct error *e)
{
	for (size_t i = l->below; i-- > 0;) {
		int code = lower_directories_add(chain->m, lowers, chain->names[i], e);

		if (code < 0)
			return code;
	}
	return 0;
}

/* Otherwise a power cut might leave files without content behind a row that says not lazy. */
static int sync_layer(const char *layer, int directory, struct error *e)
{
	int code = layer_sync(directory, e);

	return code < 0 ? error_context(e, "sync layer %s", layer) : 0;
}

static int apply_blob(struct content_chain *chain, const struct content_chain_layer *l,
		      const struct lower_directories *lowers, int directory, struct error *e)
{
	struct apply_watch watch = { chain->progress, l->content };
	cleanup(close_fd) int blob = -EBADF;
	struct tar_apply_options options = {
		.layer_fd = directory,
		.lower_fds = lowers->fds,
		.lower_count = lowers->count,
		.cancelled = content_progress_stop(chain->progress),
		.progress = applied,
		.user = &watch,
	};
	struct tar_apply_result result;
	int64_t size;
	int code = blob_store_open_blob(chain->m->blobs, &l->content->blob, &blob, &size, e);

	if (code < 0)
		return code;
	options.source_fd = blob;
	code = tar_apply(&options, &result, e);
	if (code < 0)
		return error_context(e, "unpack blob %s", l->content->blob.text);
	if (result.notes.count > 0)
		manager_report(chain->m, false, "blob=%s left out of it: %" PRIu64 " (%s)",
			       l->content->blob.text, result.notes.count, result.notes.text);
	return check_digests(l->content, &result, e);
}

static int fill_directory(struct content_chain *chain, const struct content_chain_layer *l,
			  struct error *e)
{
	cleanup(lower_directories_close) struct lower_directories lowers = { 0 };
	cleanup(close_fd) int directory = -EBADF;
	int code = store_files_open_layer(chain->m, l->layer, &directory, e);

	if (code < 0)
		return code;
	code = open_lowers(chain, l, &lowers, e);
	if (code < 0)
		return code;
	code = apply_blob(chain, l, &lowers, directory, e);
	return code < 0 ? code : sync_layer(l->layer, directory, e);
}

static int move_directory(struct manager *m, const char *from, const struct content_chain_layer *l,
			  struct error *e)
{
	char files[STORE_FILES_PATH_SIZE];
	cleanup(close_fd) int directory = -EBADF;
	int code;

	store_files_layer_path(l->layer, files);
	if (unlinkat(m->root_fd, files, AT_REMOVEDIR) < 0 ||
	    renameat(m->root_fd, from, m->root_fd, files) < 0)
		return error_set(e, -errno, "move %s to %s: %s", from, files, strerror(errno));
	code = store_files_open_layer(m, l->layer, &directory, e);
	return code < 0 ? code : sync_layer(l->layer, directory, e);
}

static int measure(struct content_chain *chain, const struct content_chain_layer *l,
		   struct disk_usage *ret_size, struct error *e)
{
	cleanup(close_fd) int directory = -EBADF;
	int code = store_files_open_layer(chain->m, l->layer, &directory, e);

	if (code < 0)
		return code;
	return disk_walk(directory, content_progress_stop(chain->progress), ret_size, e);
}

static int write_rows(struct manager *m, const char *layer, const struct disk_usage *size,
		      struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	layer_rows_set_lazy(&c, layer, false);
	layer_rows_set_size(&c, layer, size->allocated_bytes, size->apparent_bytes, size->inodes);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

static int finish_layer(struct content_chain *chain, const struct content_chain_layer *l,
			struct disk_usage *ret_size, struct error *e)
{
	int code = measure(chain, l, ret_size, e);

	return code < 0 ? code : write_rows(chain->m, l->layer, ret_size, e);
}

/* An empty directory, whatever an attempt that was cut off has left. */
static int make_directory(struct manager *m, const char *layer, struct error *e)
{
	int code = store_files_discard(m, layer, e);

	return code < 0 ? code : store_files_make(m, layer, e);
}

int content_unpack_layer(struct content_fetchers *f, const struct content_chain_layer *l,
			 struct disk_usage *ret_size, int64_t *ret_took_ns, struct error *e)
{
	struct content_chain *chain = f->chain;
	int code = content_fetchers_wait(f, l, e);
	int64_t begin = clock_monotonic_ns();

	if (code < 0)
		return code;
	code = make_directory(chain->m, l->layer, e);
	if (code < 0)
		return code;
	code = fill_directory(chain, l, e);
	if (code == 0)
		code = finish_layer(chain, l, ret_size, e);
	if (code < 0)
		(void)store_files_discard(chain->m, l->layer,
					  NULL); /* else the next attempt does */
	*ret_took_ns = l->fetch_ns + clock_monotonic_ns() - begin;
	return code;
}

int content_unpack_adopt(struct content_chain *chain, const struct content_chain_layer *l,
			 const char *directory, struct disk_usage *ret_size, struct error *e)
{
	int code = make_directory(chain->m, l->layer, e);

	if (code < 0)
		return code;
	code = move_directory(chain->m, directory, l, e);
	if (code == 0)
		code = finish_layer(chain, l, ret_size, e);
	if (code < 0)
		(void)store_files_discard(chain->m, l->layer, NULL); /* as above */
	return code;
}
