/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history.h"
#include "manager/images/image_by_blob.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/record_content.h"
#include "image/chain_id.h"
#include "image/image_manifest.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_missing.h"
#include "manager/records/record_draft.h"
#include "manager/records/record_hold.h"
#include "manager/state/lease_use.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/state/new_names.h"
#include "manager/state/reservation.h"
#include "overlay/overlay_options.h"
#include "store/content_rows.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"

/* The parsed request, and what was found for it under the lock. */
struct wanted {
	const struct image_blob *blob;
	struct record_content content; /* its texts are the blob's */
	struct record *parent;
	struct layer *lent; /* by another record of the same chain; NULL: none */
};

static int read_digests(const struct image_blob *blob, struct record_content *c, struct error *e)
{
	int code = digest_parse(blob->digest, &c->blob, e);

	if (code < 0)
		return error_context(e, "descriptor");
	if (!blob->diff_id || !*blob->diff_id)
		return error_set(e, -EINVAL,
				 "blob %s has no annotation containerd.io/uncompressed, which says "
				 "what it unpacks to",
				 c->blob.text);
	code = digest_parse(blob->diff_id, &c->diff_id, e);
	if (code < 0)
		return error_context(e, "blob %s: annotation containerd.io/uncompressed",
				     c->blob.text);
	if (blob->size_bytes < 0)
		return error_set(e, -EINVAL, "blob %s: its size cannot be negative", c->blob.text);
	return blob->config && *blob->config ? digest_parse(blob->config, &c->config, e) : 0;
}

static int read_blob(const struct image_blob *blob, struct wanted *w, struct error *e)
{
	int code = read_digests(blob, &w->content, e);

	if (code < 0)
		return code;
	if (blob->media_type && *blob->media_type)
		code = image_manifest_check_layer_type(blob->media_type, e);
	if (code < 0)
		return code;
	if ((!blob->registry || !*blob->registry) != (!blob->repository || !*blob->repository))
		return error_set(e, -EINVAL, "blob %s: a source is a registry and a repository",
				 w->content.blob.text);
	w->blob = blob;
	w->content.size_bytes = blob->size_bytes;
	w->content.media_type = (char *)(blob->media_type ? blob->media_type : "");
	w->content.registry = (char *)(blob->registry ? blob->registry : "");
	w->content.repository = (char *)(blob->repository ? blob->repository : "");
	return 0;
}

static int name_chains(struct wanted *w, struct error *e)
{
	const struct record_content *below = w->parent ? w->parent->content : NULL;
	struct record_content *c = &w->content;

	if (chain_id_append(below ? &below->chain_id : NULL, &c->diff_id, &c->chain_id) < 0 ||
	    chain_id_append_blob(below ? &below->blob_chain_id : NULL, &c->blob, &c->diff_id,
				 &c->blob_chain_id) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int find_parent(struct manager *m, struct wanted *w, struct error *e)
{
	int code;

	w->parent = NULL;
	if (!w->blob->parent || !*w->blob->parent)
		return 0;
	code = record_draft_find_parent(m, w->blob->parent, &w->parent, e);
	if (code < 0)
		return code;
	if (!w->parent->content)
		return error_set(e, -EINVAL,
				 "non-addressable parent: record %s has no chain id, since it did "
				 "not come from a blob (varve export gives it one)",
				 w->parent->id);
	return 0;
}

/* An image is its config and its layers: two configs never share a record, or one image would be
 * run and exported with the other one's. Below the top of an image the config does not matter. */
static bool may_stand_for(const struct record *r, const struct wanted *w)
{
	return digest_equal(&r->content->config, &w->content.config) ||
	       (!*w->content.config.text && !w->blob->bare);
}

/* Layers of containerd stay in its namespaces, if the configuration says so. */
static bool may_share(const struct manager *m, const struct record *r)
{
	return m->share_namespaces ||
	       (!r->snapshot && strcmp(r->type, RECORD_TYPE_IMAGE_LAYER) != 0);
}

/* A record that is what the request asks for, or a busy one of the same chain of blobs, which may
 * become that. If there is none, a record of the same chain lends its layer. With the lock. */
static struct record *find_same(struct manager *m, struct wanted *w)
{
	struct record *r, *same = NULL;

	manager_assert_locked(m);
	w->lent = NULL;
	r = chain_index_first(record_graph_chains(m->graph), &w->content.chain_id);
	for (; r; r = chain_index_next(r)) {
		/* The same blobs make the same chain. */
		bool same_blobs =
			digest_equal(&r->content->blob_chain_id, &w->content.blob_chain_id);

		if (!may_share(m, r))
			continue;
		if (r->busy) /* its layer may be on the way out */
			return r;
		if (same_blobs && may_stand_for(r, w) &&
		    (!same || digest_equal(&r->content->config, &w->content.config)))
			same = r;
		if (r->state == RECORD_LIVE)
			w->lent = r->layer;
	}
	return same;
}

/* *ret_same is not busy, or NULL. With the lock, which it releases while it waits; the parent is
 * found anew after each wait. */
static int look_around(struct manager *m, struct wanted *w, struct record **ret_same,
		       struct error *e)
{
	manager_assert_locked(m);
	for (;;) {
		struct record *same;
		int code = find_parent(m, w, e);

		if (code < 0)
			return code;
		code = name_chains(w, e);
		if (code < 0)
			return code;
		same = find_same(m, w);
		if (!same || !same->busy) {
			*ret_same = same;
			return 0;
		}
		manager_wait(m);
	}
}

static struct record *build(struct wanted *w)
{
	const char *refs[] = { w->blob->image_ref };
	struct record_label labels[] = {
		{ (char *)RECORD_LABEL_CHAIN_ID, w->content.chain_id.text },
		{ (char *)RECORD_LABEL_BLOB_CHAIN_ID, w->content.blob_chain_id.text },
	};
	struct record_options options = {
		.description = w->blob->description ? w->blob->description : "",
		.type = w->blob->type,
		.created_ns = w->blob->created_ns,
		.labels = labels,
		.label_count = ARRAY_SIZE(labels),
		.image_refs = refs,
		.image_ref_count = refs[0] && *refs[0] ? 1 : 0,
	};
	cleanup(record_free) struct record *r = record_draft_build(&options, NULL);

	if (!r)
		return NULL;
	r->is_mutable = false;
	r->content = record_content_copy(&w->content);
	return r->content ? take_ptr(r) : NULL;
}

/* Adds the record to the graph, where it is busy and not yet live, with its layer and its hold.
 * With the lock. */
static int insert(struct manager *m, struct wanted *w, struct lease *l, struct record **r,
		  struct error *e)
{
	struct layer *layer = w->lent;
	int code;

	manager_assert_locked(m);
	if (record_graph_count(m->graph) >= MANAGER_RECORDS_MAX)
		return error_set(e, -EMFILE, "the store has %d records, which is the limit",
				 MANAGER_RECORDS_MAX);
	if (!layer) {
		char name[LAYER_NAME_LENGTH + 1];

		new_names_layer(m, name);
		layer = record_graph_add_layer(m->graph, name);
		if (!layer)
			return error_set(e, -ENOMEM, "out of memory");
		layer->lazy = true;
	}
	code = record_graph_insert(m->graph, *r, w->parent, layer);
	if (code < 0) {
		if (!w->lent)
			record_graph_remove_layer(m->graph, layer);
		return error_set(e, code, "new record: %s", strerror(-code));
	}
	history_begin(m, *r);
	if (record_refs_add(*r, l, 1, w->blob->no_use ? 0 : 1) == 0)
		return 0;
	if (!w->lent)
		history_undone(m, layer->name);
	record_graph_remove(m->graph, *r);
	*r = NULL;
	return error_set(e, -ENOMEM, "out of memory");
}

static void add_rows(struct change_set *c, const struct record *r, const struct lease *l,
		     bool own_layer)
{
	if (own_layer) {
		layer_rows_insert(c, r->layer->name);
		layer_rows_set_lazy(c, r->layer->name, true);
		layer_rows_update(c, r->layer);
	}
	record_rows_insert(c, r, RECORD_LIVE);
	content_rows_set(c, r->id, r->content);
	lease_table_save_hold(c, r, l);
}

/* A new record that is being made: it is undone unless it is published. */
struct creation {
	struct manager *m;
	struct record *record; /* busy; NULL: none */
	struct change_set rows;
};

static void creation_end(struct creation *n)
{
	change_set_free(&n->rows);
	if (!n->record)
		return;
	cleanup(manager_unlock) struct manager *m = manager_lock(n->m);
	record_refs_clear(n->record);
	if (n->record->layer->owners == 1)
		history_undone(m, n->record->layer->name);
	record_graph_remove(m->graph, n->record);
	pthread_cond_broadcast(&m->idle);
	n->record = NULL;
}
DEFINE_CLEANUP_VALUE(struct creation, creation_end)

/* With the lock. */
static int begin_record(struct manager *m, struct wanted *w, struct lease *l, struct creation *n,
			struct error *e)
{
	cleanup(record_free) struct record *unborn = build(w);
	int code;

	manager_assert_locked(m);
	if (!unborn)
		return error_set(e, -ENOMEM, "out of memory");
	code = insert(m, w, l, &unborn, e);
	if (code < 0)
		return code;
	n->m = m;
	n->record = take_ptr(unborn);
	code = content_missing_check(m, n->record, NULL, e);
	if (code < 0)
		return code;
	add_rows(&n->rows, n->record, l, !w->lent);
	return 0;
}

static int publish(struct creation *n, char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	int code = change_set_write(&n->rows, n->m->database, DATABASE_DURABLE, e);

	if (code < 0)
		return code;
	cleanup(manager_unlock) struct manager *m = manager_lock(n->m);
	n->record->state = RECORD_LIVE;
	history_made(m, n->record);
	memcpy(ret_id, n->record->id, sizeof(n->record->id));
	manager_unreserve(m, n->record);
	n->record = NULL;
	return 0;
}

/* Notes the source of a reserved record that had none. */
static int learn(struct manager *m, struct record *r, const struct wanted *w, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(record_content_free) struct record_content *learnt = NULL;
	struct record_content content = *r->content;
	int code;

	if (record_content_has_source(r->content) || !*w->content.registry)
		return 0;
	content.registry = w->content.registry;
	content.repository = w->content.repository;
	learnt = record_content_copy(&content);
	if (!learnt)
		return error_set(e, -ENOMEM, "out of memory");
	content_rows_set(&c, r->id, learnt);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	record_graph_set_content(locked->graph, r, take_ptr(learnt));
	return 0;
}

static int check_missing(struct manager *m, const struct record *r, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return content_missing_check(locked, r, NULL, e);
}

/* Takes a ref on a record that this call has reserved. */
static int reuse_record(struct manager *m, struct record *r, struct wanted *w, struct lease *l,
			char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	struct record_get_options options = {
		.no_use = w->blob->no_use,
		.image_refs = &w->blob->image_ref,
		.image_ref_count = w->blob->image_ref && *w->blob->image_ref ? 1 : 0,
		.spare_image_refs = true,
	};
	int code = learn(m, r, w, e);

	if (code < 0)
		return code;
	code = check_missing(m, r, e);
	if (code < 0)
		return code;
	code = record_hold_add_ref(m, r, l, &options, e);
	if (code < 0)
		return code;
	memcpy(ret_id, r->id, sizeof(r->id));
	return 0;
}

/* Reserves the record that is there already, or else begins a new one. */
static int find_or_begin(struct manager *m, struct wanted *w, const struct lease_holder *holder,
			 struct lease_use *use, struct reservation *reserved,
			 struct creation *creation, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *same;
	int code = lease_use_begin(locked, holder, use, e);

	if (code < 0)
		return code;
	code = look_around(locked, w, &same, e);
	if (code < 0)
		return code;
	if (!same)
		return begin_record(locked, w, use->lease, creation, e);
	reservation_begin(locked, same, reserved);
	return 0;
}

static int get(struct manager *m, struct wanted *w, const struct lease_holder *holder,
	       char ret_id[RECORD_ID_LENGTH + 1], bool *ret_new, struct error *e)
{
	cleanup(lease_use_end) struct lease_use use = { 0 };
	cleanup(reservation_end) struct reservation same = { 0 };
	cleanup(creation_end) struct creation creation = { 0 };
	int code = find_or_begin(m, w, holder, &use, &same, &creation, e);

	if (code < 0)
		return code;
	code = same.record ? reuse_record(m, same.record, w, use.lease, ret_id, e)
			   : publish(&creation, ret_id, e);
	if (code < 0)
		return code;
	*ret_new = !same.record;
	return 0;
}

int image_by_blob(struct manager *m, const struct image_blob *blob,
		  const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		  bool *ret_new, struct error *e)
{
	cleanup(content_blobs_unpin) struct blob_pin pin = { 0 };
	struct wanted w = { 0 };
	int code = read_blob(blob, &w, e);

	if (code < 0)
		return code;
	code = record_draft_check_texts(blob->description ? blob->description : "", blob->type,
					blob->image_ref, e);
	if (code < 0)
		return code;
	code = content_blobs_pin(m, &w.content.blob, &pin, e);
	return code < 0 ? code : get(m, &w, holder, ret_id, ret_new, e);
}
