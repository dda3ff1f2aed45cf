/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_extract.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manager/content/content_chain.h"
#include "manager/content/content_fetchers.h"
#include "manager/content/content_missing.h"
#include "manager/content/content_unpack.h"
#include "manager/content/content_use.h"
#include "manager/history/history.h"

/* A layer that is being made. Guarded by `lock`, but for the size, which is its maker's until it is
 * done. The last user frees it. */
struct extraction {
	char layer[LAYER_NAME_LENGTH + 1];
	unsigned users;
	bool done;
	int code;
	struct error error;
	struct disk_usage size; /* of what was made */
};

/* Where a chain's files come from: its blobs, or a directory that is there. */
struct source {
	struct content_fetchers *fetchers; /* NULL: adopt the directory */
	const char *directory;
	int64_t took_ns; /* that the directory took to make */
};

/* With the lock. */
static void put_extraction(struct extraction *x)
{
	manager_assert_some_locked();
	if (--x->users == 0)
		free(x);
}

/* With the lock. */
static void publish(struct manager *m, const struct content_chain_layer *l, int64_t took_ns,
		    struct extraction *x, int code, const struct error *e)
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
		history_filled(m, layer, l->record, took_ns);
	}
	x->done = true;
	x->code = code;
	x->error = *e;
	(void)hashmap_remove(m->extractions, x->layer); /* it is in there */
	pthread_cond_broadcast(&m->idle);
}

/* With the lock, which it releases meanwhile. -EAGAIN: the other call was cancelled. */
static int wait_for_other(struct content_chain *chain, struct extraction *x, struct error *e)
{
	struct manager *m = chain->m;
	int code = 0;

	manager_assert_locked(m);
	x->users++;
	while (!x->done && code == 0)
		code = content_progress_wait(chain->progress, &m->lock, &m->idle);
	if (!x->done)
		error_set(e, code, "the extraction was cancelled");
	else if (x->code == -ECANCELED)
		code = -EAGAIN;
	else
		code = x->code < 0 ? error_set(e, x->code, "%s", x->error.text) : 0;
	put_extraction(x);
	return code;
}

/* With the lock. NULL when out of memory. */
static struct extraction *begin(struct manager *m, const char *layer)
{
	cleanup(free_ptr) struct extraction *x = calloc(1, sizeof(*x));

	manager_assert_locked(m);
	if (!x)
		return NULL;
	memcpy(x->layer, layer, sizeof(x->layer));
	x->users = 1;
	return hashmap_insert(m->extractions, x->layer, x) < 0 ? NULL : take_ptr(x);
}

/* *ret_own: the layer is this call's to make; NULL: it has files. -EAGAIN: ask again. */
static int begin_or_wait(struct content_chain *chain, const char *layer,
			 struct extraction **ret_own, struct error *e)
{
	cleanup(manager_unlock) struct manager *m = manager_lock(chain->m);
	struct extraction *other = hashmap_find(m->extractions, layer);

	*ret_own = NULL;
	if (!record_graph_find_layer(m->graph, layer)->lazy)
		return 0;
	if (other)
		return wait_for_other(chain, other, e);
	*ret_own = begin(m, layer);
	return *ret_own ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int make_own(struct content_chain *chain, const struct source *from,
		    const struct content_chain_layer *l, struct extraction *x, struct error *e)
{
	struct error own = { 0 };
	int64_t took_ns = from->took_ns;
	int code = from->fetchers
			   ? content_unpack_layer(from->fetchers, l, &x->size, &took_ns, &own)
			   : content_unpack_adopt(chain, l, from->directory, &x->size, &own);
	cleanup(manager_unlock) struct manager *m = manager_lock(chain->m);

	publish(m, l, took_ns, x, code, &own);
	put_extraction(x);
	return code < 0 ? error_set(e, code, "%s", own.text) : 0;
}

static int make_once(struct content_chain *chain, const struct source *from,
		     const struct content_chain_layer *l, struct error *e)
{
	struct extraction *own;
	int code;

	do
		code = begin_or_wait(chain, l->layer, &own, e);
	while (code == -EAGAIN);
	return code == 0 && own ? make_own(chain, from, l, own, e) : code;
}

static int make_layers(struct content_chain *chain, struct error *e)
{
	cleanup(content_fetchers_end) struct content_fetchers fetchers = { 0 };
	struct source blobs = { .fetchers = &fetchers };
	int code = content_fetchers_begin(chain, &fetchers, e);

	if (code < 0)
		return code;
	for (size_t i = 0; i < chain->count; i++) {
		code = make_once(chain, &blobs, &chain->layers[i], e);
		if (code < 0) {
			content_progress_end(chain->progress); /* stops the threads */
			return code;
		}
	}
	return 0;
}

/* `adopt`: has the files of the only layer; or NULL. */
static int make_chain(struct manager *m, struct record *r, const struct content_watch *watch,
		      const struct source *adopt, struct error *e)
{
	cleanup(content_chain_close) struct content_chain chain = { 0 };
	int code = content_chain_open(m, r, watch, adopt != NULL, &chain, e);

	if (code < 0 || chain.count == 0)
		return code;
	return adopt ? make_once(&chain, adopt, &chain.layers[0], e) : make_layers(&chain, e);
}

static bool is_of_a_source(int code)
{
	static const int codes[] = { ENODATA, ECONNREFUSED, ENOENT,	 ETIMEDOUT,
				     EACCES,  EHOSTUNREACH, ENETUNREACH, ECONNRESET,
				     EAGAIN,  EREMOTEIO,    EIO };

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (code == -codes[i])
			return true;
	return false;
}

/* An error that may come from a source names all blobs that are missing. */
static int extract_chain(struct manager *m, struct record *r, const struct content_watch *watch,
			 const struct source *adopt, struct error *e)
{
	char why[sizeof(e->text)];
	int missing, code = make_chain(m, r, watch, adopt, e);

	if (!is_of_a_source(code))
		return code;
	(void)snprintf(why, sizeof(why), "%s", e->text);
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	missing = content_missing_check(locked, r, why, e);
	return missing < 0 ? missing : code;
}

/* With the lock, which it releases meanwhile. */
static int extract_unlocked(struct manager *m, struct record *r, const struct content_watch *watch,
			    struct error *e)
{
	int code;

	manager_assert_locked(m);
	r->extractions++;
	manager_unlock(m);
	code = extract_chain(m, r, watch, NULL, e);
	manager_lock(m);
	r->extractions--;
	return code;
}

int content_extract_if_lazy(struct manager *m, struct record **r, const atomic_bool *cancelled,
			    struct error *e)
{
	struct content_watch watch = { .cancelled = cancelled };
	char id[RECORD_ID_LENGTH + 1];

	manager_assert_locked(m);
	memcpy(id, (*r)->id, sizeof(id));
	/* A layer may become lazy again as soon as the lock is free. */
	while (record_lowest_lazy(*r)) {
		int code = extract_unlocked(m, *r, &watch, e);

		if (code < 0)
			return code;
		code = manager_find(m, id, r, e);
		if (code < 0)
			return code;
	}
	return 0;
}

static int extract_by_id(struct manager *m, const char *id, const struct content_watch *watch,
			 const struct source *adopt, struct error *e)
{
	cleanup(content_use_end) struct content_use use = { 0 };
	int code = content_use_find(m, id, &use, e);

	if (code < 0)
		return code;
	code = extract_chain(m, use.record, watch, adopt, e);
	return code < 0 ? error_context(e, "extract %s", use.record->id) : 0;
}

int content_extract_adopt(struct manager *m, const char *id, const char *directory, int64_t took_ns,
			  struct error *e)
{
	const struct content_watch no_watch = { 0 };
	const struct source adopt = { .directory = directory, .took_ns = took_ns };

	return extract_by_id(m, id, &no_watch, &adopt, e);
}

int content_extract(struct manager *m, const char *id, const struct content_watch *watch,
		    struct error *e)
{
	return extract_by_id(m, id, watch, NULL, e);
}
