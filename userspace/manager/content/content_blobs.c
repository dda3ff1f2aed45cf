/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blobs are here. A blob is kept by the rows that need it, of loaded records and of those
 * that were quarantined alike, and by whoever has pinned it: who brings a blob pins it first,
 * writes its row, and unpins it then.
 */
#include "manager/content/content_blobs.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "content/blob_store.h"
#include "graph/record_content.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "store/content_rows.h"

#define HALF_WRITTEN_NS (7 * 24 * 3600 * NS_PER_S) /* nobody resumes it after that */
#define UNNEEDED_NS (3600 * NS_PER_S) /* what a failed import brought waits for the next try */

/* Stays known while it is here or pinned. */
struct known_blob {
	struct digest digest;
	int64_t size_bytes; /* -1: not here */
	unsigned pins;
	int64_t needed_ns; /* when it was last seen to be needed, or came */
	bool doomed; /* being removed: whoever wants it waits until it is gone */
};

static struct known_blob *find(const struct manager *m, const struct digest *digest)
{
	return hashmap_find(m->known_blobs, digest->text);
}

static struct known_blob *find_or_add(struct manager *m, const struct digest *digest)
{
	struct known_blob *b = find(m, digest);

	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	*b = (struct known_blob){ .digest = *digest, .size_bytes = -1 };
	if (hashmap_insert(m->known_blobs, b->digest.text, b) == 0)
		return b;
	free(b);
	return NULL;
}

static void forget_if_idle(struct manager *m, struct known_blob *b)
{
	if (b->pins > 0 || b->size_bytes >= 0)
		return;
	(void)hashmap_remove(m->known_blobs, b->digest.text); /* it is there */
	free(b);
}

static int load_blob(const struct digest *digest, int64_t size_bytes, void *user)
{
	struct known_blob *b = find_or_add(user, digest);

	if (!b)
		return -ENOMEM;
	b->size_bytes = size_bytes;
	b->needed_ns = clock_boot_ns(); /* what came before the start is as good as new */
	return 0;
}

int content_blobs_open(struct manager *m, const char *fetch_helper, const char *credentials_file,
		       struct error *e)
{
	int code;

	m->known_blobs = hashmap_new();
	m->extractions = hashmap_new();
	m->fetch_helper = strdup(fetch_helper ? fetch_helper : "");
	if (credentials_file)
		m->credentials_file = strdup(credentials_file);
	if (!m->known_blobs || !m->extractions || !m->fetch_helper ||
	    (credentials_file && !m->credentials_file))
		return error_set(e, -ENOMEM, "out of memory");
	code = blob_store_open(m->root_fd, &m->blobs, e);
	if (code == 0)
		code = blob_store_sweep_ingest(m->blobs, HALF_WRITTEN_NS, e);
	if (code == 0)
		code = blob_store_list(m->blobs, load_blob, m, e);
	if (code == 0)
		code = store_files_clear_scratch(m, e);
	return code < 0 ? error_context(e, "%s", m->root) : 0;
}

void content_blobs_close(struct manager *m)
{
	struct known_blob *b;
	size_t at = 0;

	while (m->known_blobs && (b = hashmap_next(m->known_blobs, &at)))
		free(b);
	hashmap_free(m->known_blobs);
	hashmap_free(m->extractions); /* empty: no call is under way */
	blob_store_close(m->blobs);
	free(m->fetch_helper);
	free(m->credentials_file);
}

bool content_blobs_has(const struct manager *m, const struct digest *digest)
{
	const struct known_blob *b = find(m, digest);

	manager_assert_locked(m);
	return b && b->size_bytes >= 0 && !b->doomed;
}

int64_t content_blobs_size(const struct manager *m, const struct record *r)
{
	const struct known_blob *b = r->content ? find(m, &r->content->blob) : NULL;

	manager_assert_locked(m);
	return b && b->size_bytes > 0 ? b->size_bytes : 0;
}

int content_blobs_pin(struct manager *m, const struct digest *digest)
{
	struct known_blob *b;

	manager_lock(m);
	while ((b = find(m, digest)) && b->doomed)
		manager_wait(m);
	b = find_or_add(m, digest);
	if (b)
		b->pins++;
	manager_unlock(m);
	return b ? 0 : -ENOMEM;
}

void content_blobs_unpin(struct manager *m, const struct digest *digest)
{
	struct known_blob *b;

	manager_lock(m);
	b = find(m, digest);
	b->pins--;
	b->needed_ns = clock_boot_ns();
	forget_if_idle(m, b);
	manager_unlock(m);
}

void content_blobs_arrived(struct manager *m, const struct digest *digest, int64_t size_bytes)
{
	struct known_blob *b;

	manager_lock(m);
	b = find(m, digest);
	b->size_bytes = size_bytes;
	manager_unlock(m);
}

struct counted_blob {
	char id[RECORD_ID_LENGTH + 1];
	struct digest digest;
	bool replaceable;
};

/* With the lock: those that are believed to be here. */
static struct counted_blob *list_counted(struct manager *m, size_t *ret_count)
{
	struct counted_blob *all = calloc(record_graph_count(m->graph) + 1, sizeof(*all));
	const struct record *r;
	size_t at = 0;

	manager_assert_locked(m);
	while (all && (r = record_graph_next(m->graph, &at))) {
		struct counted_blob *b = &all[*ret_count];

		if (!r->content || !content_blobs_has(m, &r->content->blob))
			continue;
		memcpy(b->id, r->id, sizeof(b->id));
		b->digest = r->content->blob;
		b->replaceable = !r->layer->lazy || record_content_has_source(r->content);
		(*ret_count)++;
	}
	return all;
}

static void stop_counting(struct manager *m, const struct digest *digest)
{
	struct known_blob *b;

	manager_lock(m);
	b = find(m, digest);
	if (b && !b->doomed) {
		b->size_bytes = -1;
		forget_if_idle(m, b);
	}
	manager_unlock(m);
}

int content_blobs_check(struct manager *m, bool repair,
			int (*found)(const char *id, const char *digest, bool repaired, void *user),
			void *user)
{
	cleanup(free_ptr) struct counted_blob *all = NULL;
	size_t count = 0;
	int code = 0;

	manager_lock(m);
	all = list_counted(m, &count);
	manager_unlock(m);
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count && code == 0; i++) {
		bool repaired = repair && all[i].replaceable;

		if (blob_store_has(m->blobs, &all[i].digest))
			continue;
		if (repaired)
			stop_counting(m, &all[i].digest);
		code = found(all[i].id, all[i].digest.text, repaired, user);
	}
	return code;
}

/* Sorted digests of what rows need. */
struct needed {
	struct digest *items;
	size_t count, capacity;
};

static int add_needed(const char *text, void *user)
{
	struct needed *n = user;

	if (n->count == n->capacity) {
		size_t capacity = n->capacity ? n->capacity * 2 : 256;
		struct digest *items = realloc(n->items, capacity * sizeof(*items));

		if (!items)
			return -ENOMEM;
		n->items = items;
		n->capacity = capacity;
	}
	(void)snprintf(n->items[n->count++].text, DIGEST_TEXT_SIZE, "%s", text); /* a digest */
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct digest *)a)->text, ((const struct digest *)b)->text);
}

static int gather_needed(struct manager *m, struct needed *n, struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code = content_rows_load_needed(db, m->drop_blobs, add_needed, n, e);

	database_unlock_reader(m->database);
	if (code == 0 && n->count > 0)
		qsort(n->items, n->count, sizeof(*n->items), by_text);
	return code;
}

/* With the lock. What was unpinned after `then`, when the rows were read, may have one by now. */
static struct known_blob **doom(struct manager *m, const struct needed *needed, int64_t then,
				int64_t unneeded_ns, size_t *ret_count)
{
	struct known_blob **doomed = calloc(hashmap_count(m->known_blobs) + 1, sizeof(*doomed));
	struct known_blob *b;
	size_t at = 0;

	manager_assert_locked(m);
	while (doomed && (b = hashmap_next(m->known_blobs, &at))) {
		if (needed->count > 0 && bsearch(&b->digest, needed->items, needed->count,
						 sizeof(*needed->items), by_text))
			b->needed_ns = then;
		else if (b->pins == 0 && !b->doomed && b->needed_ns < then &&
			 then - b->needed_ns >= unneeded_ns)
			doomed[(*ret_count)++] = b;
	}
	for (size_t i = 0; i < *ret_count; i++)
		doomed[i]->doomed = true;
	return doomed;
}

static int remove_doomed(struct manager *m, struct known_blob *b, struct error *e)
{
	int code = blob_store_remove(m->blobs, &b->digest, e);

	manager_lock(m);
	b->doomed = false;
	if (code == 0) {
		b->size_bytes = -1;
		forget_if_idle(m, b);
	}
	pthread_cond_broadcast(&m->idle);
	manager_unlock(m);
	return code;
}

int content_blobs_collect(struct manager *m, int64_t unneeded_ns, struct error *e)
{
	cleanup(free_ptr) struct known_blob **doomed = NULL;
	struct needed needed = { 0 };
	int64_t then = clock_boot_ns();
	size_t count = 0;
	int code = gather_needed(m, &needed, e);

	if (code == 0) {
		manager_lock(m);
		doomed = doom(m, &needed, then, unneeded_ns, &count);
		manager_unlock(m);
		if (!doomed)
			code = error_set(e, -ENOMEM, "out of memory");
	}
	free(needed.items);
	/* One that cannot be removed must not keep the others doomed. */
	for (size_t i = 0; i < count; i++) {
		struct error late = { 0 };
		int removed = remove_doomed(m, doomed[i], &late);

		if (removed < 0)
			code = error_set(e, removed, "%s", late.text);
	}
	return code < 0 ? error_context(e, "collect blobs") : 0;
}

int content_blobs_collect_unneeded(struct manager *m, struct error *e)
{
	return content_blobs_collect(m, UNNEEDED_NS, e);
}
