/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records by blob. A record without files is made in one transaction: its rows are all there is of
 * it. Whoever asks for the same chain meanwhile finds it being made, and waits.
 */
#include "manager/images/image_by_blob.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/record_content.h"
#include "image/chain_id.h"
#include "image/image_manifest.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_missing.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/state/new_names.h"
#include "manager/records/record_draft.h"
#include "manager/records/record_hold.h"
#include "overlay/overlay_options.h"
#include "store/content_rows.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"

/* What is asked for, as it was understood. */
struct wanted {
	const struct image_blob *blob;
	struct record_content content; /* its texts are the blob's */
	struct record *parent;
	struct layer *lent; /* of another record of the same chain; NULL: none */
};

static int read_digests(const struct image_blob *blob, struct record_content *c, struct error *e)
{
	int code = digest_parse(blob->digest, &c->blob, e);

	if (code < 0)
		return error_context(e, "descriptor");
	if (!blob->diff_id || !*blob->diff_id)
		return error_set(e, -EINVAL,
				 "blob %s has no annotation containerd.io/uncompressed: what it "
				 "unpacks to is not known",
				 c->blob.text);
	code = digest_parse(blob->diff_id, &c->diff_id, e);
	if (code < 0)
		return error_context(e, "blob %s: annotation containerd.io/uncompressed",
				     c->blob.text);
	if (blob->config && *blob->config)
		code = digest_parse(blob->config, &c->config, e);
	if (code == 0 && blob->size_bytes < 0)
		code = error_set(e, -EINVAL, "blob %s: its size cannot be negative", c->blob.text);
	return code;
}

static int read_blob(const struct image_blob *blob, struct wanted *w, struct error *e)
{
	int code = read_digests(blob, &w->content, e);

	if (code == 0 && blob->media_type && *blob->media_type)
		code = image_manifest_check_layer_type(blob->media_type, e);
	if (code == 0 &&
	    (!blob->registry || !*blob->registry) != (!blob->repository || !*blob->repository))
		code = error_set(e, -EINVAL, "blob %s: a source is a registry and a repository",
				 w->content.blob.text);
	w->blob = blob;
	w->content.size_bytes = blob->size_bytes;
	w->content.media_type = (char *)(blob->media_type ? blob->media_type : "");
	w->content.registry = (char *)(blob->registry ? blob->registry : "");
	w->content.repository = (char *)(blob->repository ? blob->repository : "");
	return code;
}

static int name_chains(struct wanted *w, struct error *e)
{
	const struct record_content *below = w->parent ? w->parent->content : NULL;
	struct record_content *c = &w->content;
	int code = chain_id_append(below ? &below->chain_id : NULL, &c->diff_id, &c->chain_id);

	if (code == 0)
		code = chain_id_append_blob(below ? &below->blob_chain_id : NULL, &c->blob,
					    &c->diff_id, &c->blob_chain_id);
	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

static int find_parent(struct manager *m, struct wanted *w, struct error *e)
{
	int code;

	w->parent = NULL;
	if (!w->blob->parent || !*w->blob->parent)
		return 0;
	code = record_draft_find_parent(m, w->blob->parent, &w->parent, e);
	if (code == 0 && !w->parent->content)
		code = error_set(e, -EINVAL,
				 "non-addressable parent: record %s has no chain id, since it did "
				 "not come from a blob (varve export gives it one)",
				 w->parent->id);
	return code;
}

/* An image is its config and its layers: two configs never share a record, or one image would be
 * run and exported with the other one's. Below the top of an image the config does not matter. */
static bool may_stand_for(const struct record *r, const struct wanted *w)
{
	return digest_equal(&r->content->config, &w->content.config) ||
	       (!*w->content.config.text && !w->blob->bare);
}

/* With the lock: a record that will do, or a busy one of the same chain of blobs, which may become
 * one. Without one, a record of the same chain lends its layer. */
static struct record *find_same(struct manager *m, struct wanted *w)
{
	struct record *r, *same = NULL;
	size_t at = 0;

	manager_assert_locked(m);
	w->lent = NULL;
	while ((r = record_graph_next(m->graph, &at))) {
		bool same_blobs = r->content && digest_equal(&r->content->blob_chain_id,
							     &w->content.blob_chain_id);

		if (same_blobs && r->busy)
			return r;
		if (same_blobs && may_stand_for(r, w) &&
		    (!same || digest_equal(&r->content->config, &w->content.config)))
			same = r;
		if (r->content && r->state == RECORD_LIVE &&
		    digest_equal(&r->content->chain_id, &w->content.chain_id))
			w->lent = r->layer;
	}
	return same;
}

/* With the lock: *ret_same is idle, or NULL; the parent is found anew after each wait. */
static int look_around(struct manager *m, struct wanted *w, struct record **ret_same,
		       struct error *e)
{
	manager_assert_locked(m);
	for (;;) {
		struct record *same;
		int code = find_parent(m, w, e);

		if (code == 0)
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

/* With the lock: into the graph, where it cannot be found yet, with its layer and hold. */
static int insert(struct manager *m, struct wanted *w, struct lease *l, struct record **r,
		  struct error *e)
{
	struct layer *layer = w->lent;
	int code;

	manager_assert_locked(m);
	if (record_graph_count(m->graph) >= MANAGER_RECORDS_MAX)
		return error_set(e, -EMFILE, "the store has %d records, which is all it takes",
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
	if (record_refs_add(*r, l, 1, w->blob->no_use ? 0 : 1) == 0)
		return 0;
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

/* With the lock, which it lets go of meanwhile. */
static int make_record(struct manager *m, struct wanted *w, struct lease *l,
		       char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(record_free) struct record *unborn = build(w);
	struct record *r;
	int code;

	manager_assert_locked(m);
	if (!unborn)
		return error_set(e, -ENOMEM, "out of memory");
	code = insert(m, w, l, &unborn, e);
	if (code < 0)
		return code;
	r = take_ptr(unborn);
	code = content_missing_check(m, r, NULL, e);
	if (code == 0) {
		add_rows(&c, r, l, !w->lent);
		manager_unlock(m);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
		manager_lock(m);
	}
	if (code == 0) {
		r->state = RECORD_LIVE;
		memcpy(ret_id, r->id, sizeof(r->id));
		manager_unreserve(m, r);
		return 0;
	}
	record_refs_clear(r);
	record_graph_remove(m->graph, r);
	pthread_cond_broadcast(&m->idle);
	return code;
}

/* A source, where none was known. */
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
	manager_lock(m);
	record_content_free(r->content);
	r->content = take_ptr(learnt);
	manager_unlock(m);
	return 0;
}

/* With the lock, which it lets go of meanwhile. */
static int reuse_record(struct manager *m, struct record *r, struct wanted *w, struct lease *l,
			char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	struct record_get_options options = {
		.no_use = w->blob->no_use,
		.image_refs = &w->blob->image_ref,
		.image_ref_count = w->blob->image_ref && *w->blob->image_ref ? 1 : 0,
	};
	int code;

	manager_assert_locked(m);
	manager_reserve(r);
	manager_unlock(m);
	code = learn(m, r, w, e);
	manager_lock(m);
	if (code == 0)
		code = content_missing_check(m, r, NULL, e);
	manager_unlock(m);
	if (code == 0)
		code = record_hold_add_ref(m, r, l, &options, e);
	memcpy(ret_id, r->id, sizeof(r->id));
	manager_lock(m);
	manager_unreserve(m, r);
	return code;
}

static int get_pinned(struct manager *m, struct wanted *w, const struct lease_holder *holder,
		      char ret_id[RECORD_ID_LENGTH + 1], bool *ret_new, struct error *e)
{
	struct record *same = NULL;
	struct lease *l = NULL;
	int code;

	manager_lock(m);
	code = lease_table_find(m, holder, &l, e);
	if (code == 0) {
		code = look_around(m, w, &same, e);
		if (code == 0 && same)
			code = reuse_record(m, same, w, l, ret_id, e);
		else if (code == 0)
			code = make_record(m, w, l, ret_id, e);
		lease_table_put(m, l);
	}
	manager_unlock(m);
	*ret_new = code == 0 && !same;
	return code;
}

int image_by_blob(struct manager *m, const struct image_blob *blob,
		  const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		  bool *ret_new, struct error *e)
{
	struct wanted w = { 0 };
	int code = read_blob(blob, &w, e);

	if (code == 0)
		code = record_draft_check_texts(blob->description ? blob->description : "",
						blob->type, blob->image_ref, e);
	if (code < 0)
		return code;
	if (content_blobs_pin(m, &w.content.blob) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	code = get_pinned(m, &w, holder, ret_id, ret_new, e);
	content_blobs_unpin(m, &w.content.blob);
	return code;
}
