/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_blobs.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "content/blob_store.h"
#include "graph/record_content.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "store/content_rows.h"

#define HALF_WRITTEN_NS (7 * 24 * 3600 * NS_PER_S) /* after that it is not resumed */
#define UNNEEDED_NS (3600 * NS_PER_S) /* how long a failed import may be tried again */

/* A blob that is in the store or pinned. */
struct known_blob {
	struct digest digest;
	int64_t size_bytes; /* -1: not in the store */
	unsigned pins;
	int64_t needed_ns; /* when something was last seen to need it, or it came */
	bool doomed; /* being removed: a thread that wants to pin it waits */
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
	(void)hashmap_remove(m->known_blobs, b->digest.text); /* it is in there */
	free(b);
}

static int load_blob(const struct digest *digest, int64_t size_bytes, void *user)
{
	struct known_blob *b = find_or_add(user, digest);

	if (!b)
		return -ENOMEM;
	b->size_bytes = size_bytes;
	b->needed_ns = clock_boot_ns(); /* its time begins with the agent */
	return 0;
}

static int make_tables(struct manager *m, const char *fetch_helper, const char *credentials_file)
{
	m->known_blobs = hashmap_new();
	m->extractions = hashmap_new();
	m->fetch_helper = strdup(fetch_helper ? fetch_helper : "");
	if (credentials_file)
		m->credentials_file = strdup(credentials_file);
	if (!m->known_blobs || !m->extractions || !m->fetch_helper ||
	    (credentials_file && !m->credentials_file))
		return -ENOMEM;
	return 0;
}

static int open_store(struct manager *m, struct error *e)
{
	int code = blob_store_open(m->root_fd, &m->blobs, e);

	if (code < 0)
		return code;
	code = blob_store_sweep_ingest(m->blobs, HALF_WRITTEN_NS, e);
	if (code < 0)
		return code;
	code = blob_store_list(m->blobs, load_blob, m, e);
	return code < 0 ? code : store_files_clear_scratch(m, e);
}

int content_blobs_open(struct manager *m, const char *fetch_helper, const char *credentials_file,
		       struct error *e)
{
	if (make_tables(m, fetch_helper, credentials_file) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return open_store(m, e) < 0 ? error_context(e, "%s", m->root) : 0;
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

bool content_blobs_is_here(struct manager *m, const struct digest *digest)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return content_blobs_has(locked, digest);
}

int64_t content_blobs_size(const struct manager *m, const struct record *r)
{
	const struct known_blob *b = r->content ? find(m, &r->content->blob) : NULL;

	manager_assert_locked(m);
	return b && b->size_bytes > 0 ? b->size_bytes : 0;
}

void content_blobs_total(const struct manager *m, int64_t *bytes, int64_t *count)
{
	const struct known_blob *b;

	manager_assert_locked(m);
	for (size_t at = 0; (b = hashmap_next(m->known_blobs, &at));) {
		if (b->size_bytes < 0)
			continue;
		*bytes += b->size_bytes;
		++*count;
	}
}

int content_blobs_pin(struct manager *m, const struct digest *digest, struct blob_pin *ret_pin,
		      struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct known_blob *b;

	while ((b = find(locked, digest)) && b->doomed)
		manager_wait(locked);
	b = find_or_add(locked, digest);
	if (!b)
		return error_set(e, -ENOMEM, "out of memory");
	b->pins++;
	*ret_pin = (struct blob_pin){ .m = m, .digest = *digest };
	return 0;
}

void content_blobs_unpin(struct blob_pin *pin)
{
	struct known_blob *b;

	if (!pin->m)
		return;
	cleanup(manager_unlock) struct manager *locked = manager_lock(pin->m);
	b = find(locked, &pin->digest);
	b->pins--;
	b->needed_ns = clock_boot_ns();
	forget_if_idle(locked, b);
	pin->m = NULL;
}

void content_blobs_arrived(struct manager *m, const struct digest *digest, int64_t size_bytes)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	find(locked, digest)->size_bytes = size_bytes;
}

struct counted_blob {
	char id[RECORD_ID_LENGTH + 1];
	struct digest digest;
	bool replaceable;
};

/* The blobs of records that count as being in the store. NULL when out of memory. */
static struct counted_blob *list_counted(struct manager *m, size_t *ret_count)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct counted_blob *all = calloc(record_graph_count(locked->graph) + 1, sizeof(*all));
	const struct record *r;
	size_t at = 0;

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
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct known_blob *b = find(locked, digest);

	if (!b || b->doomed)
		return;
	b->size_bytes = -1;
	forget_if_idle(locked, b);
}

int content_blobs_check(struct manager *m, bool repair,
			int (*found)(const char *id, const char *digest, bool repaired, void *user),
			void *user)
{
	size_t count = 0;
	cleanup(free_ptr) struct counted_blob *all = list_counted(m, &count);

	manager_assert_unlocked(m);
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		bool repaired = repair && all[i].replaceable;
		int code;

		if (blob_store_has(m->blobs, &all[i].digest))
			continue;
		if (repaired)
			stop_counting(m, &all[i].digest);
		code = found(all[i].id, all[i].digest.text, repaired, user);
		if (code < 0)
			return code;
	}
	return 0;
}

/* Sorted digests of the blobs that rows need. */
struct needed {
	struct digest *items;
	size_t count, capacity;
};

static void needed_free(struct needed *n)
{
	free(n->items);
}
DEFINE_CLEANUP_VALUE(struct needed, needed_free)

static int add_needed(const char *text, void *user)
{
	struct needed *n = user;
	struct digest *items = vec_reserve(n->items, &n->capacity, n->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	n->items = items;
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
	if (code < 0)
		return code;
	if (n->count > 0)
		qsort(n->items, n->count, sizeof(*n->items), by_text);
	return 0;
}

/* Marks the blobs to be removed. A blob that was unpinned after `then`, when the rows were read,
 * stays, since its row may have been written meanwhile. NULL when out of memory. */
static struct known_blob **doom(struct manager *m, const struct needed *needed, int64_t then,
				int64_t unneeded_ns, size_t *ret_count)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct known_blob **doomed =
		calloc(hashmap_count(locked->known_blobs) + 1, sizeof(*doomed));
	struct known_blob *b;
	size_t at = 0;

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
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	b->doomed = false;
	pthread_cond_broadcast(&locked->idle);
	if (code < 0)
		return code;
	if (b->size_bytes > 0)
		atomic_fetch_add(&locked->freed_bytes, b->size_bytes);
	b->size_bytes = -1;
	forget_if_idle(locked, b);
	return 0;
}

int content_blobs_collect(struct manager *m, int64_t unneeded_ns, struct error *e)
{
	cleanup(free_ptr) struct known_blob **doomed = NULL;
	cleanup(needed_free) struct needed needed = { 0 };
	int64_t then = clock_boot_ns();
	size_t count = 0;
	int code = gather_needed(m, &needed, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return error_context(e, "collect blobs");
	doomed = doom(m, &needed, then, unneeded_ns, &count);
	if (!doomed)
		return error_set(e, -ENOMEM, "collect blobs: out of memory");
	/* A blob that cannot be removed must not keep the others doomed. */
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
