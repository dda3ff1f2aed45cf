/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for layers that have none. Database: lazy → directory, filled and synced → database: not
 * lazy, durably; what a crash leaves in between is discarded at start, or by the next attempt.
 * Blobs are fetched by threads ahead of the one that unpacks, parents first. A layer is made once,
 * however many wait for it: who comes second waits for the first, and takes over when that one was
 * cancelled.
 */
#include "manager/content/content_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "content/blob_fetch.h"
#include "content/blob_store.h"
#include "graph/record_content.h"
#include "layer/tar_apply.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_progress.h"
#include "manager/content/content_source.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "overlay/overlay_options.h"
#include "store/layer_rows.h"
#include "layer/disk_walk.h"

#define FETCHERS 3 /* as many as registries bear from one client without a word */
#define LOOK_NS (NS_PER_S / 10) /* how often one who waits looks whether it was cancelled */

/* A layer that is being made; with the lock. The last user frees it. */
struct extraction {
	char layer[LAYER_NAME_LENGTH + 1];
	unsigned users;
	bool done;
	int code;
	struct error error;
	struct disk_usage size; /* of what was made */
};

struct chain_layer {
	char layer[LAYER_NAME_LENGTH + 1];
	struct record_content *content;
	size_t below; /* how many of the chain's layers it lies on */
	enum { BLOB_WANTED, BLOB_HERE, BLOB_FAILED } blob; /* with the job's lock */
	bool pinned;
};

struct chain_job {
	struct manager *m;
	struct content_progress *progress;
	struct chain_layer *layers; /* lowest first; those that lack files */
	size_t count;
	char (*chain)[LAYER_NAME_LENGTH + 1]; /* all of the chain, lowest first */
	struct ranked_lock lock;
	pthread_cond_t changed;
	size_t next; /* to be fetched */
	const char *adopt; /* a directory that has the files of the only layer already, or NULL */
	int code; /* the first failure of a fetch */
	struct error error;
};

/* With the given lock: woken, or a moment later. */
static void wait_a_moment(struct ranked_lock *lock, pthread_cond_t *condition)
{
	/* The caller looks at what it waits for. */
	(void)ranked_lock_wait_until(lock, condition, clock_monotonic_ns() + LOOK_NS);
}

/* ---- what is missing ---- */

static bool is_missing(struct manager *m, const struct record *r, bool unreachable)
{
	return r->layer->lazy && r->content && !content_blobs_has(m, &r->content->blob) &&
	       (unreachable || !record_content_has_source(r->content));
}

/* All of them: whole while they fit into a message, then cut, then counted. */
static void list_missing(struct manager *m, const struct record *r, bool unreachable, size_t count,
			 char *text, size_t size)
{
	int digits = count * (DIGEST_TEXT_SIZE + 1) < size ? 64 : 12;
	size_t used = 0, left = count;

	for (; r && left > 0; r = r->parent) {
		if (!is_missing(m, r, unreachable))
			continue;
		if (used + (size_t)digits + 40 > size)
			break;
		used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "",
					 7 + digits, r->content->blob.text);
		left--;
	}
	if (left > 0)
		(void)snprintf(text + used, size - used, " and %zu more", left);
}

int content_extract_check(struct manager *m, const struct record *r, const char *unreachable,
			  struct error *e)
{
	char digests[800] = "";
	size_t count = 0;

	manager_assert_locked(m);
	for (const struct record *at = r; at; at = at->parent)
		count += is_missing(m, at, unreachable);
	if (count == 0)
		return 0;
	list_missing(m, r, unreachable, count, digests, sizeof(digests));
	if (unreachable)
		return error_set(e, -ENODATA, "%zu blob%s missing: %s; %s", count,
				 count == 1 ? " is" : "s are", digests, unreachable);
	return error_set(e, -ENODATA, "%zu blob%s neither here nor to be fetched: %s", count,
			 count == 1 ? " is" : "s are", digests);
}

/* ---- fetching ---- */

struct fetch_watch {
	struct chain_job *job;
	const char *digest;
};

static void fetched(int64_t done_bytes, int64_t total_bytes, void *user)
{
	const struct fetch_watch *w = user;

	/* What it returns is in the flag that the fetch looks at. */
	(void)content_progress_say(w->job->progress, "fetch", w->digest, done_bytes, total_bytes);
}

static int bring_blob(struct chain_job *job, const struct chain_layer *l, struct error *e)
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

static void *fetch_layers(void *arg)
{
	struct chain_job *job = arg;

	ranked_lock_acquire(&job->lock);
	while (job->next < job->count && job->code == 0 &&
	       !atomic_load(content_progress_stop(job->progress))) {
		struct chain_layer *l = &job->layers[job->next++];
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
static int wait_for_blob(struct chain_job *job, const struct chain_layer *l, struct error *e)
{
	int code = 0;

	ranked_lock_acquire(&job->lock);
	while (code == 0 && l->blob == BLOB_WANTED) {
		if (job->code < 0)
			code = -EAGAIN;
		else
			wait_a_moment(&job->lock, &job->changed);
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

/* ---- one layer ---- */

struct apply_watch {
	struct chain_job *job;
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
static int open_lowers(struct chain_job *job, const struct chain_layer *l, int *lowers,
		       size_t *ret_count, struct error *e)
{
	int code = 0;

	for (size_t i = l->below; i-- > 0 && code == 0;) {
		code = store_files_open_layer(job->m, job->chain[i], &lowers[*ret_count], e);
		*ret_count += code == 0;
	}
	return code;
}

static int fill_directory(struct chain_job *job, const struct chain_layer *l, struct error *e)
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
static int adopt_directory(struct chain_job *job, const struct chain_layer *l, struct error *e)
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

static int measure(struct chain_job *job, const struct chain_layer *l, struct disk_usage *ret_size,
		   struct error *e)
{
	cleanup(close_fd) int directory = -EBADF;
	int code = store_files_open_layer(job->m, l->layer, &directory, e);

	return code < 0 ? code
			: disk_walk(directory, content_progress_stop(job->progress), ret_size, e);
}

static int make_layer(struct chain_job *job, const struct chain_layer *l,
		      struct disk_usage *ret_size, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct manager *m = job->m;
	int code = job->adopt ? 0 : wait_for_blob(job, l, e);

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
static int wait_for_other(struct chain_job *job, struct extraction *x, struct error *e)
{
	int code = 0;

	manager_assert_locked(job->m);
	x->users++;
	while (!x->done && code == 0) {
		wait_a_moment(&job->m->lock, &job->m->idle);
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

static int make_once(struct chain_job *job, const struct chain_layer *l, struct error *e)
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
		code = make_layer(job, l, &x->size, &own);
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

static bool somebody_works_on(const struct record *r)
{
	for (; r; r = r->parent)
		if (r->busy)
			return true;
	return false;
}

/* With the lock. */
static int list_layers(struct record *r, struct chain_job *job)
{
	size_t room = record_graph_depth(r);

	manager_assert_locked(job->m);
	/* What falls back to lazy at the moment will be found so. */
	while (somebody_works_on(r))
		manager_wait(job->m);

	job->layers = calloc(room, sizeof(*job->layers));
	job->chain = calloc(room, sizeof(*job->chain));
	if (!job->layers || !job->chain)
		return -ENOMEM;
	for (const struct record *at = r; at; at = at->parent)
		job->count += at->layer->lazy;
	for (size_t i = job->count; r; r = r->parent) {
		memcpy(job->chain[--room], r->layer->name, sizeof(job->chain[room]));
		if (!r->layer->lazy)
			continue;
		i--;
		job->layers[i].below = room;
		memcpy(job->layers[i].layer, r->layer->name, sizeof(job->layers[i].layer));
		job->layers[i].content = record_content_copy(r->content);
		if (!job->layers[i].content)
			return -ENOMEM;
	}
	return 0;
}

static int pin_blobs(struct chain_job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		if (content_blobs_pin(job->m, &job->layers[i].content->blob) < 0)
			return -ENOMEM;
		job->layers[i].pinned = true;
	}
	return 0;
}

static void free_job(struct chain_job *job)
{
	for (size_t i = 0; job->layers && i < job->count; i++) {
		if (job->layers[i].pinned)
			content_blobs_unpin(job->m, &job->layers[i].content->blob);
		record_content_free(job->layers[i].content);
	}
	free(job->layers);
	free(job->chain);
	content_progress_free(job->progress);
	ranked_lock_destroy(&job->lock);
	pthread_cond_destroy(&job->changed);
}

static int make_layers(struct chain_job *job, struct error *e)
{
	pthread_t fetchers[FETCHERS];
	size_t started = 0;
	int code = 0;

	if (job->adopt)
		return make_once(job, &job->layers[0], e);
	while (started < FETCHERS && started < job->count &&
	       pthread_create(&fetchers[started], NULL, fetch_layers, job) == 0)
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
	missing = content_extract_check(m, r, why, e);
	manager_unlock(m);
	return missing < 0 ? missing : code;
}

static int extract_chain(struct manager *m, struct record *r, const struct content_watch *watch,
			 const char *adopt, struct error *e)
{
	struct chain_job job = { .m = m, .progress = content_progress_new(watch), .adopt = adopt };
	int code;

	ranked_lock_init(&job.lock, MANAGER_RANK_EXTRACTION);
	pthread_cond_init(&job.changed, NULL);
	manager_lock(m);
	code = job.progress ? list_layers(r, &job) : -ENOMEM;
	if (code == 0 && !adopt)
		code = content_extract_check(m, r, NULL, e);
	manager_unlock(m);
	if (code == 0)
		code = pin_blobs(&job);
	if (code == -ENOMEM)
		error_set(e, code, "out of memory");
	if (code == 0 && job.count > 0)
		code = make_layers(&job, e);
	free_job(&job);
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
