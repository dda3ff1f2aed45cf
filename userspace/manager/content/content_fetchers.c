/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_fetchers.h"

#include <errno.h>

#include "base/clock.h"
#include "content/blob_fetch.h"
#include "manager/content/fetch_note.h"
#include "manager/content/content_source.h"

struct fetch_watch {
	struct content_progress *progress;
	const char *digest;
};

static void fetched(int64_t done_bytes, int64_t total_bytes, void *user)
{
	const struct fetch_watch *w = user;

	/* A cancellation reaches the fetch by the flag that it looks at. */
	(void)content_progress_say(w->progress, "fetch", w->digest, done_bytes, total_bytes);
}

static int bring_blob(struct content_chain *chain, const struct content_chain_layer *l,
		      int64_t *ret_fetch_ns, struct error *e)
{
	int64_t begin = clock_monotonic_ns();
	const struct record_content *c = l->content;
	struct fetch_watch watch = { chain->progress, c->blob.text };
	struct fetch_control control =
		content_source_control(chain->m, content_progress_stop(chain->progress));
	struct fetch_source source = { .registry = c->registry, .repository = c->repository };
	int64_t begun_ns;
	int code;

	if (content_blobs_is_here(chain->m, &c->blob))
		return 0;
	if (!record_content_has_source(c))
		return error_set(e, -ENODATA, "blob %s is not in the store and has no source",
				 c->blob.text);
	control.progress = fetched;
	control.user = &watch;
	begun_ns = clock_monotonic_ns();
	code = fetch_blob(&control, chain->m->blobs, &source, &c->blob, c->size_bytes, e);
	fetch_note(chain->m, c->blob.text, begun_ns, c->size_bytes, code);
	if (code < 0)
		return code;
	content_blobs_arrived(chain->m, &c->blob, c->size_bytes);
	*ret_fetch_ns = clock_monotonic_ns() - begin;
	return 0;
}

/* NULL: there is nothing left to do. */
static struct content_chain_layer *take_next(struct content_fetchers *f)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = ranked_lock_acquire(&f->lock);

	if (f->next == f->chain->count || f->code < 0 ||
	    atomic_load(content_progress_stop(f->chain->progress)))
		return NULL;
	return &f->chain->layers[f->next++];
}

static void note_result(struct content_fetchers *f, struct content_chain_layer *l, int64_t fetch_ns,
			int code, const struct error *e)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = ranked_lock_acquire(&f->lock);

	l->fetch_ns = fetch_ns;
	l->blob = code == 0 ? CONTENT_CHAIN_BLOB_HERE : CONTENT_CHAIN_BLOB_FAILED;
	if (code < 0 && f->code == 0) {
		f->code = code;
		f->error = *e;
	}
	pthread_cond_broadcast(&f->changed);
}

static void *fetch_layers(void *arg)
{
	struct content_fetchers *f = arg;
	struct content_chain_layer *l;

	while ((l = take_next(f))) {
		struct error e = { 0 };
		int64_t fetch_ns = 0;
		int code = bring_blob(f->chain, l, &fetch_ns, &e);

		note_result(f, l, fetch_ns, code, &e);
	}
	return NULL;
}

int content_fetchers_begin(struct content_chain *chain, struct content_fetchers *ret_fetchers,
			   struct error *e)
{
	struct content_fetchers *f = ret_fetchers;

	*f = (struct content_fetchers){ .chain = chain };
	ranked_lock_init(&f->lock, MANAGER_RANK_EXTRACTION);
	pthread_cond_init(&f->changed, NULL);
	while (f->thread_count < CONTENT_FETCHERS_MAX && f->thread_count < chain->count &&
	       pthread_create(&f->threads[f->thread_count], NULL, fetch_layers, f) == 0)
		f->thread_count++;
	if (f->thread_count > 0)
		return 0;
	content_fetchers_end(f);
	return error_set(e, -EAGAIN, "cannot start a thread to fetch blobs");
}

int content_fetchers_wait(struct content_fetchers *f, const struct content_chain_layer *l,
			  struct error *e)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = ranked_lock_acquire(&f->lock);

	while (l->blob == CONTENT_CHAIN_BLOB_WANTED && f->code == 0)
		if (content_progress_wait(f->chain->progress, held, &f->changed) < 0)
			break;
	if (l->blob == CONTENT_CHAIN_BLOB_HERE)
		return 0;
	if (f->code < 0 && f->code != -ECANCELED)
		return error_set(e, f->code, "%s", f->error.text);
	return error_set(e, -ECANCELED, "the extraction was cancelled");
}

void content_fetchers_end(struct content_fetchers *f)
{
	if (!f->chain)
		return;
	for (size_t i = 0; i < f->thread_count; i++)
		pthread_join(f->threads[i], NULL);
	ranked_lock_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
	f->chain = NULL;
}
