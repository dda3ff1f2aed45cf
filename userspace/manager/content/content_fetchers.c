/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_fetchers.h"

#include <errno.h>

#include "content/blob_fetch.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_source.h"

struct fetch_watch {
	struct content_chain *job;
	const char *digest;
};

static void fetched(int64_t done_bytes, int64_t total_bytes, void *user)
{
	const struct fetch_watch *w = user;

	/* What it returns is in the flag that the fetch looks at. */
	(void)content_progress_say(w->job->progress, "fetch", w->digest, done_bytes, total_bytes);
}

static int bring_blob(struct content_chain *job, const struct content_chain_layer *l,
		      struct error *e)
{
	struct fetch_watch watch = { job, l->content->blob.text };
	struct fetch_control control =
		content_source_control(job->m, content_progress_stop(job->progress));
	struct fetch_source source = { .registry = l->content->registry,
				       .repository = l->content->repository };
	bool here;
	int code;

	manager_lock(job->m);
	here = content_blobs_has(job->m, &l->content->blob);
	manager_unlock(job->m);
	if (here)
		return 0;
	if (!record_content_has_source(l->content))
		return error_set(e, -ENODATA, "blob %s is neither here nor to be fetched",
				 l->content->blob.text);
	control.progress = fetched;
	control.user = &watch;
	code = fetch_blob(&control, job->m->blobs, &source, &l->content->blob,
			  l->content->size_bytes, e);
	if (code == 0)
		content_blobs_arrived(job->m, &l->content->blob, l->content->size_bytes);
	return code;
}

void *content_fetchers_run(void *arg)
{
	struct content_chain *job = arg;

	ranked_lock_acquire(&job->lock);
	while (job->next < job->count && job->code == 0 &&
	       !atomic_load(content_progress_stop(job->progress))) {
		struct content_chain_layer *l = &job->layers[job->next++];
		struct error e = { 0 };
		int code;

		ranked_lock_release(&job->lock);
		code = bring_blob(job, l, &e);
		ranked_lock_acquire(&job->lock);
		l->blob = code == 0 ? BLOB_HERE : BLOB_FAILED;
		if (code < 0 && job->code == 0) {
			job->code = code;
			job->error = e;
		}
		pthread_cond_broadcast(&job->changed);
	}
	ranked_lock_release(&job->lock);
	return NULL;
}

/* 0 when the blob is here. What another thread could not fetch ends this layer, too, when nobody
 * will come to it any more. */
int content_fetchers_wait(struct content_chain *job, const struct content_chain_layer *l,
			  struct error *e)
{
	int code = 0;

	ranked_lock_acquire(&job->lock);
	while (code == 0 && l->blob == BLOB_WANTED) {
		if (job->code < 0)
			code = -EAGAIN;
		else
			content_chain_wait(&job->lock, &job->changed);
		if (content_progress_check(job->progress) < 0)
			code = -ECANCELED;
	}
	if (l->blob == BLOB_FAILED || code == -EAGAIN) {
		code = job->code;
		error_set(e, code, "%s", job->error.text);
	}
	ranked_lock_release(&job->lock);
	return code == -ECANCELED ? error_set(e, code, "it was cancelled") : code;
}
