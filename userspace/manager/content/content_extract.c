/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer is made once, however many wait for it: who comes second waits for the first, and takes
 * over when that one was cancelled.
 */
#include "manager/content/content_extract.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manager/content/content_chain.h"
#include "manager/content/content_fetchers.h"
#include "manager/content/content_missing.h"
#include "manager/content/content_unpack.h"

#define FETCHERS 3 /* as many as registries bear from one client without a word */

/* A layer that is being made; with the lock. The last user frees it. */
struct extraction {
	char layer[LAYER_NAME_LENGTH + 1];
	unsigned users;
	bool done;
	int code;
	struct error error;
	struct disk_usage size; /* of what was made */
};

/* With the lock. */
static void publish_layer(struct manager *m, struct extraction *x, int code, const struct error *e)
{
	struct layer *layer = record_graph_find_layer(m->graph, x->layer);

	manager_assert_locked(m);
	if (code == 0) {
		layer->lazy = false;
		layer->allocated_bytes = x->size.allocated_bytes;
		layer->apparent_bytes = x->size.apparent_bytes;
		layer->inodes = x->size.inodes;
		layer->size_known = layer->measured = true;
		layer->upper_changes++;
	}
	x->done = true;
	x->code = code;
	x->error = *e;
	(void)hashmap_remove(m->extractions, x->layer); /* the same one */
	pthread_cond_broadcast(&m->idle);
}

/* With the lock: somebody else is at it. -EAGAIN: it was cancelled, and is for us now. */
static int wait_for_other(struct content_chain *job, struct extraction *x, struct error *e)
{
	int code = 0;

	manager_assert_locked(job->m);
	x->users++;
	while (!x->done && code == 0) {
		content_chain_wait(&job->m->lock, &job->m->idle);
		manager_unlock(job->m);
		code = content_progress_check(job->progress);
		manager_lock(job->m);
	}
	if (x->done)
		code = x->code == -ECANCELED ? -EAGAIN : error_set(e, x->code, "%s", x->error.text);
	else
		code = error_set(e, -ECANCELED, "it was cancelled");
	if (--x->users == 0)
		free(x);
	return code;
}

static int make_once(struct content_chain *job, const struct content_chain_layer *l,
		     struct error *e)
{
	struct manager *m = job->m;
	struct extraction *x;
	int code = -EAGAIN;

	manager_lock(m);
	while (code == -EAGAIN) {
		struct error own = { 0 };

		if (!record_graph_find_layer(m->graph, l->layer)->lazy) {
			code = 0;
			break;
		}
		x = hashmap_find(m->extractions, l->layer);
		if (x) {
			code = wait_for_other(job, x, e);
			continue;
		}
		x = calloc(1, sizeof(*x));
		if (x)
			memcpy(x->layer, l->layer, sizeof(x->layer));
		if (!x || hashmap_insert(m->extractions, x->layer, x) < 0) {
			free(x);
			code = error_set(e, -ENOMEM, "out of memory");
			break;
		}
		x->users = 1;
		manager_unlock(m);
		code = content_unpack_layer(job, l, &x->size, &own);
		manager_lock(m);
		publish_layer(m, x, code, &own);
		if (--x->users == 0)
			free(x);
		if (code < 0)
			error_set(e, code, "%s", own.text);
	}
	manager_unlock(m);
	return code;
}

/* ---- the chain ---- */

static int make_layers(struct content_chain *job, struct error *e)
{
	pthread_t fetchers[FETCHERS];
	size_t started = 0;
	int code = 0;

	if (job->adopt)
		return make_once(job, &job->layers[0], e);
	while (started < FETCHERS && started < job->count &&
	       pthread_create(&fetchers[started], NULL, content_fetchers_run, job) == 0)
		started++;
	if (started == 0)
		code = error_set(e, -EAGAIN, "no thread to fetch blobs");
	for (size_t i = 0; i < job->count && code == 0; i++)
		code = make_once(job, &job->layers[i], e);
	if (code < 0)
		content_progress_end(job->progress); /* what is under way is broken off */
	for (size_t i = 0; i < started; i++)
		pthread_join(fetchers[i], NULL);
	return code;
}

/* A fetch that failed is told with all that is missing. */
static int name_missing(struct manager *m, struct record *r, int code, struct error *e)
{
	char why[sizeof(e->text)];
	int missing;

	if (code != -ENODATA && code != -ECONNREFUSED && code != -ENOENT && code != -ETIMEDOUT &&
	    code != -EACCES && code != -EHOSTUNREACH && code != -ENETUNREACH &&
	    code != -ECONNRESET && code != -EAGAIN && code != -EREMOTEIO && code != -EIO)
		return code;
	(void)snprintf(why, sizeof(why), "%s", e->text);
	manager_lock(m);
	missing = content_missing_check(m, r, why, e);
	manager_unlock(m);
	return missing < 0 ? missing : code;
}

static int extract_chain(struct manager *m, struct record *r, const struct content_watch *watch,
			 const char *adopt, struct error *e)
{
	struct content_chain job = { .m = m,
				     .progress = content_progress_new(watch),
				     .adopt = adopt };
	int code;

	ranked_lock_init(&job.lock, MANAGER_RANK_EXTRACTION);
	pthread_cond_init(&job.changed, NULL);
	manager_lock(m);
	code = job.progress ? content_chain_list(r, &job) : -ENOMEM;
	if (code == 0 && !adopt)
		code = content_missing_check(m, r, NULL, e);
	manager_unlock(m);
	if (code == 0)
		code = content_chain_pin(&job);
	if (code == -ENOMEM)
		error_set(e, code, "out of memory");
	if (code == 0 && job.count > 0)
		code = make_layers(&job, e);
	content_chain_free(&job);
	return code < 0 ? name_missing(m, r, code, e) : 0;
}

static int content_extract_chain(struct manager *m, struct record *r,
				 const struct content_watch *watch, struct error *e)
{
	return extract_chain(m, r, watch, NULL, e);
}

int content_extract_if_lazy(struct manager *m, struct record **r, const atomic_bool *cancelled,
			    struct error *e)
{
	struct content_watch watch = { .cancelled = cancelled };
	char id[RECORD_ID_LENGTH + 1];
	int code = 0;

	manager_assert_locked(m);
	memcpy(id, (*r)->id, sizeof(id));
	/* Again, since a layer may have gone back to lazy as soon as the lock is free. */
	while (code == 0 && record_content_lowest_lazy(*r)) {
		(*r)->extractions++;
		manager_unlock(m);
		code = content_extract_chain(m, *r, &watch, e);
		manager_lock(m);
		(*r)->extractions--;
		if (code == 0)
			code = manager_find(m, id, r, e);
	}
	return code;
}

/* The record is found, stays, and gets its files. */
static int extract_by_id(struct manager *m, const char *id, const struct content_watch *watch,
			 const char *adopt, struct error *e)
{
	char whole_id[RECORD_ID_LENGTH + 1];
	struct record *r;
	int code;

	manager_lock(m);
	code = manager_find(m, id, &r, e);
	if (code == 0) {
		memcpy(whole_id, r->id, sizeof(whole_id));
		r->extractions++;
	}
	manager_unlock(m);
	if (code < 0)
		return code;
	code = extract_chain(m, r, watch, adopt, e);
	manager_lock(m);
	r->extractions--;
	manager_unlock(m);
	return code < 0 ? error_context(e, "extract %s", whole_id) : 0;
}

int content_extract_adopt(struct manager *m, const char *id, const char *directory, struct error *e)
{
	const struct content_watch nobody = { 0 };

	return extract_by_id(m, id, &nobody, directory, e);
}

int content_extract(struct manager *m, const char *id, const struct content_watch *watch,
		    struct error *e)
{
	return extract_by_id(m, id, watch, NULL, e);
}
