/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   operation   files   database            in between, after a crash
 *   known       –       live, durable       no snapshot, or one that containerd will find or remove
 *
 * A kept layer becomes the snapshot itself, if it lies on the parent that was asked for. Otherwise
 * a new record shares the layer.
 */
#include "manager/snapshots/snapshot_known.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/strbuf.h"
#include "image/chain_id.h"
#include "layer/disk_walk.h"
#include "manager/history/history.h"
#include "manager/records/record_draft.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_limits.h"
#include "manager/state/store_files.h"
#include "store/content_rows.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"

#define SNAPSHOT_REF "containerd.io/snapshot.ref"

struct known {
	struct manager *m;
	const struct snapshot_request *q;
	struct digest chain; /* that the client wants */
	char *namespace, *name; /* of the committed snapshot */
	struct record *parent; /* NULL: none */
	struct record *owner; /* a record that has the layer; reserved once work begins */
	struct lease *lease; /* of the namespace; used */
	struct record
		*draft; /* labels and description of a kept layer's record; or the new record */
	struct record *r; /* that becomes the snapshot */
	struct snapshot *snapshot; /* reserves the name; becomes the record's own */
	struct change_set rows;
};

static void known_end(struct known *k)
{
	change_set_free(&k->rows);
	record_free(k->draft);
	free(k->namespace);
	free(k->name);
	if (!k->lease)
		return;
	cleanup(manager_unlock) struct manager *locked = manager_lock(k->m);
	snapshot_keys_put_lease(locked, k->lease);
}
DEFINE_CLEANUP_VALUE(struct known, known_end)

static const char *find_label(const struct record_label *labels, size_t count, const char *key)
{
	const char *value = NULL;

	for (size_t i = 0; i < count; i++) /* as in a map, the last one counts */
		if (strcmp(labels[i].key, key) == 0)
			value = labels[i].value;
	return value;
}

/* The name that containerd would give it: the key's namespace and number, and the chain id. */
static char *name_snapshot(const char *key, const struct digest *chain)
{
	struct strbuf name = { 0 };

	strbuf_append_bytes(&name, key, (size_t)(snapshot_keys_name(key) - key));
	strbuf_append(&name, chain->text);
	return strbuf_take(&name);
}

bool snapshot_known_is_one(const struct record *r)
{
	const char *ref;

	manager_assert_some_locked();
	if (!r->content || !r->snapshot || r->snapshot->kind != SNAPSHOT_COMMITTED)
		return false;
	ref = find_label(r->labels, r->label_count, SNAPSHOT_REF);
	return ref && strcmp(ref, r->content->chain_id.text) == 0;
}

/* ---- what is there ---- */

static bool is_in_namespace(const struct record *r, const char *namespace)
{
	const char *kept;

	if (r->snapshot)
		return snapshot_keys_is_in(r->snapshot->key, namespace);
	kept = find_label(r->labels, r->label_count, RECORD_LABEL_NAMESPACE);
	return kept && strcmp(kept, namespace) == 0;
}

static bool may_use(const struct known *k, const struct record *r)
{
	return k->m->share_namespaces || is_in_namespace(r, k->namespace);
}

/* Of records of the chain. */
static bool has_files(const struct record *r)
{
	return !r->is_mutable && !r->layer->lazy;
}

/* Is it what containerd finds after the answer? */
static bool is_answer(const struct known *k, const struct record *r)
{
	return r->parent == k->parent && snapshot_known_is_one(r) &&
	       is_in_namespace(r, k->namespace);
}

/* A kept layer that can become the snapshot itself. */
static bool can_become(const struct known *k, const struct record *r)
{
	return r->parent == k->parent && !r->snapshot && r->refs == 0 && !r->mount && !r->twin &&
	       strcmp(r->type, RECORD_TYPE_IMAGE_LAYER) == 0;
}

/* With the lock. -ENOENT: no record has the layer; -EEXIST: the snapshot is there already.
 * *ret_busy: of a record that has it another thread decides just now. */
static int look(struct known *k, bool *ret_busy)
{
	struct record *r;
	bool is_there = false;

	manager_assert_locked(k->m);
	k->owner = NULL;
	r = chain_index_first(record_graph_chains(k->m->graph), &k->chain);
	for (; r; r = chain_index_next(r)) {
		if (!has_files(r) || !may_use(k, r))
			continue;
		if (r->busy) {
			*ret_busy = true;
			return 0;
		}
		is_there |= is_answer(k, r);
		if (!k->owner || can_become(k, r))
			k->owner = r;
	}
	if (is_there)
		return -EEXIST;
	return k->owner ? 0 : -ENOENT;
}

/* With the lock. -ENOENT: Prepare without this file finds out what is wrong, if anything is. */
static int find_parent(struct known *k, bool *ret_waited)
{
	const struct snapshot *parent;

	k->parent = NULL;
	if (hashmap_find(k->m->snapshots, k->q->key) || hashmap_find(k->m->snapshots, k->name))
		return -ENOENT;
	if (!*k->q->parent)
		return 0;
	parent = snapshot_keys_find(k->m, k->q->parent, ret_waited);
	if (!parent || parent->kind != SNAPSHOT_COMMITTED || !parent->record->content)
		return -ENOENT;
	k->parent = parent->record;
	return record_draft_check_depth(k->parent, NULL) < 0 ? -ENOENT : 0;
}

/* Is the layer, on top of the parent, the chain? */
static bool fits(const struct known *k)
{
	const struct record_content *below = k->parent ? k->parent->content : NULL;
	struct digest chain;

	return chain_id_append(below ? &below->chain_id : NULL, &k->owner->content->diff_id,
			       &chain) == 0 &&
	       digest_equal(&chain, &k->chain);
}

/* With the lock, which is given back while other threads work on what is looked for. */
static int look_around(struct known *k)
{
	for (;;) {
		bool waited = false, busy = false;
		int code = find_parent(k, &waited);

		if (code < 0)
			return code;
		if (waited)
			continue;
		code = look(k, &busy);
		if (busy)
			manager_wait(k->m);
		else if (code < 0)
			return code;
		else
			return fits(k) ? 0 : -ENOENT;
	}
}

/* ---- the snapshot ---- */

/* What the record will be, in a draft of its own. */
static int draft_record(struct known *k, struct error *e)
{
	cleanup(record_free) struct record *labels = NULL;
	cleanup(free_ptr) char *description = snapshot_keys_describe(k->name);
	struct record_options options = { .description = description, .retain = true };
	int code = snapshot_keys_draft(k->q->labels, k->q->label_count, &labels, e);

	if (code < 0)
		return code;
	options.labels = labels->labels;
	options.label_count = labels->label_count;
	k->draft = description ? record_draft_build(&options, NULL) : NULL;
	k->snapshot = snapshot_keys_new(k->name, SNAPSHOT_COMMITTED);
	if (!k->draft || !k->snapshot)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* With the lock: the draft becomes a record that shares the layer. */
static int insert_record(struct known *k, struct error *e)
{
	struct manager *m = k->m;
	struct record *r = k->draft;

	manager_assert_locked(m);
	if (record_graph_count(m->graph) >= MANAGER_RECORDS_MAX)
		return error_set(e, -EMFILE, "the store has %d records, which is the limit",
				 MANAGER_RECORDS_MAX);
	r->is_mutable = false;
	r->content = record_content_copy(k->owner->content);
	if (!r->content || record_graph_insert(m->graph, r, k->parent, k->owner->layer) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	k->draft = NULL;
	k->r = r;
	history_begin(m, r);
	return 0;
}

/* With the lock: takes back what begin() did. */
static void undo(struct known *k)
{
	manager_assert_locked(k->m);
	if (hashmap_find(k->m->snapshots, k->name) == k->snapshot)
		snapshot_keys_remove(k->m, k->name);
	snapshot_free(take_ptr(k->snapshot));
	if (!k->r)
		return;
	if (k->lease && record_refs_find(k->r, k->lease))
		(void)record_refs_drop(k->r, k->lease); /* it holds one */
	if (k->r != k->owner)
		record_graph_remove(k->m->graph, k->r);
	manager_unreserve(k->m, k->owner);
}

/* With the lock: reserves the records, the name and the hold. */
static int reserve(struct known *k, struct error *e)
{
	int code;

	manager_assert_locked(k->m);
	code = snapshot_keys_lease(k->m, k->q->key, &k->lease, e);
	if (code < 0)
		return code;
	if (can_become(k, k->owner))
		k->r = k->owner;
	else
		code = insert_record(k, e);
	if (code < 0)
		return code;
	manager_reserve(k->owner);
	k->snapshot->record = k->r;
	if (record_refs_add(k->r, k->lease, 1, 1) < 0 ||
	    snapshot_keys_insert(k->m, k->snapshot) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* -ENOENT, -EEXIST: as of look(). */
static int begin(struct known *k, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(k->m);
	int code;

	manager_assert_locked(locked);
	code = look_around(k);
	if (code == -ENOENT)
		return code;
	if (code == 0)
		code = draft_record(k, e);
	if (code == 0)
		code = reserve(k, e);
	if (code < 0 && code != -EEXIST)
		undo(k);
	return code;
}

/* The layer's size, which an import may not have measured. */
static int measure(struct known *k, struct error *e)
{
	struct disk_usage size = { .allocated_bytes = k->r->layer->allocated_bytes,
				   .inodes = k->r->layer->inodes };
	cleanup(close_fd) int fd = -EBADF;
	struct stat root;
	int code = store_files_open_layer(k->m, k->r->layer->name, &fd, e);

	if (code == 0 && !k->r->layer->measured)
		code = disk_walk(fd, NULL, &size, e);
	if (code < 0)
		return code;
	if (fstat(fd, &root) < 0)
		return error_set(e, -errno, "the layer's root: %s", strerror(errno));
	k->snapshot->size_bytes = size.allocated_bytes + snapshot_keys_root_bytes(&root);
	k->snapshot->inodes = size.inodes + 1;
	return 0;
}

static void add_rows(struct known *k)
{
	const struct record *r = k->r;

	if (r == k->owner) {
		record_rows_set_committed(&k->rows, r->id, k->draft->description);
		record_rows_delete_labels(&k->rows, r->id);
		record_rows_add_labels(&k->rows, r->id, k->draft->labels, k->draft->label_count);
	} else {
		record_rows_insert(&k->rows, r, RECORD_LIVE);
		content_rows_set(&k->rows, r->id, r->content);
	}
	lease_rows_ensure(&k->rows, k->lease);
	manager_lock(k->m);
	lease_table_save_hold(&k->rows, r, k->lease);
	manager_unlock(k->m);
	snapshot_rows_set(&k->rows, k->snapshot);
}

/* With the lock. */
static void publish(struct known *k)
{
	struct record *r = k->r;

	manager_assert_locked(k->m);
	if (r == k->owner) {
		char *description = r->description;

		r->description = k->draft->description;
		k->draft->description = description;
		record_swap_labels(r, k->draft);
	}
	r->snapshot = k->snapshot;
	r->state = RECORD_LIVE;
	history_made(k->m, r);
	manager_unreserve(k->m, r);
	manager_unreserve(k->m, k->owner);
}

static int make(struct known *k, struct error *e)
{
	int code = measure(k, e);

	if (code == 0) {
		add_rows(k);
		code = change_set_write(&k->rows, k->m->database, DATABASE_DURABLE, e);
	}
	cleanup(manager_unlock) struct manager *locked = manager_lock(k->m);
	manager_assert_locked(locked);
	if (code < 0)
		undo(k);
	else
		publish(k);
	return code;
}

int snapshot_known_find(struct manager *m, const struct snapshot_request *request, struct error *e)
{
	cleanup(known_end) struct known k = { .m = m, .q = request };
	const char *ref = find_label(request->labels, request->label_count, SNAPSHOT_REF);
	int code;

	if (request->kind != SNAPSHOT_ACTIVE || !ref || digest_parse(ref, &k.chain, NULL) < 0)
		return 0;
	k.namespace = snapshot_keys_namespace(request->key);
	k.name = name_snapshot(request->key, &k.chain);
	if (!k.namespace || !k.name)
		return error_set(e, -ENOMEM, "out of memory");
	code = begin(&k, e);
	if (code == -ENOENT)
		return 0;
	if (code == 0)
		code = make(&k, e);
	if (code == -ENOENT) { /* the files are lost: they are unpacked once more */
		manager_report(m, true, "chain=%s %s", k.chain.text, e->text);
		return 0;
	}
	if (code < 0 && code != -EEXIST)
		return error_context(e, "make a snapshot of the layer that is here");
	return error_set(e, -EEXIST, "target snapshot \"%s\": already exists", k.chain.text);
}
