/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a record. Each operation: reserve under the lock, work without it, publish under it.
 *
 *   operation   database                files                    in between, after a crash
 *   new         creating … live         make layer, mount        discarded (new_ops.c)
 *   commit      twin, durable           unmount before           still mutable, not mounted
 *   finalize    mutable row gone        –                        still a twin
 *   delete      row gone, durable       unmount before, trash    the layer without a row goes
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "manager/manager_state.h"
#include "manager/snapshot_keys.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"

/* The immutable twin of a reserved mutable record, held by the lease instead of it. `adopt`: a
 * record that nobody holds may be committed, too (Get of a mutable record). */
static int commit_reserved(struct manager *m, struct record *r, struct lease *l, bool adopt,
			   char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct manager_new_record options = { .description = r->description,
					      .type = r->type,
					      .labels = r->labels,
					      .label_count = r->label_count,
					      .image_refs = (const char *const *)r->image_refs,
					      .image_ref_count = r->image_ref_count };
	struct record *twin = NULL;
	int code;

	if (r->twin)
		return error_set(e, -EINVAL, "record %s is committed already, as %s", r->id,
				 r->twin->id);
	if (r->refs == 0 && !adopt)
		return error_set(e, -EINVAL,
				 "record %s is held by nobody, so nobody can have finished it "
				 "(varve get --mutable %.12s)",
				 r->id, r->id);
	code = mount_ops_detach(m, r, e);
	if (code < 0)
		return error_context(e, "commit");

	twin = new_ops_build(&options, &r->id_map);
	if (!twin)
		return error_set(e, -ENOMEM, "out of memory");
	twin->is_mutable = false;
	twin->pinned = r->pinned;
	pthread_mutex_lock(&m->lock);
	code = record_graph_insert(m->graph, twin, r->parent, r->layer);
	if (code == 0) {
		twin->twin = r; /* one-sided until it is published */
		code = r->refs ? record_refs_add(twin, l, r->refs, r->refs)
			       : record_refs_add(twin, l, 1, 1);
		record_rows_insert(&c, twin, RECORD_LIVE);
		record_rows_set_twin(&c, r->id, twin->id);
		for (const struct hold *h = r->holds; h; h = h->next_of_record)
			if (h->lease->connection == 0)
				lease_rows_set_hold(&c, h->lease->name, r->id, 0, 0);
		lease_table_save_hold(&c, twin, l);
		r->layer->size_known = false;
		layer_rows_update(&c, r->layer);
	} else {
		record_free(twin);
	}
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return error_set(e, code, "commit %s: %s", r->id, strerror(-code));

	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	pthread_mutex_lock(&m->lock);
	if (code < 0) {
		twin->twin = NULL;
		record_refs_clear(twin);
		record_graph_remove(m->graph, twin);
	} else {
		twin->mounted_while_held = r->mounted_while_held && r->refs > 0;
		record_refs_clear(r);
		record_graph_pair(twin, r);
		twin->state = RECORD_LIVE;
		memcpy(ret_id, twin->id, sizeof(twin->id));
	}
	pthread_mutex_unlock(&m->lock);
	return code;
}

int manager_commit(struct manager *m, const char *id, const struct manager_holder *holder,
		   char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	struct record *r;
	struct lease *l;
	int code;

	pthread_mutex_lock(&m->lock);
	code = manager_find(m, id, &r, e);
	if (code == 0 && !r->is_mutable)
		code = error_set(e, -EINVAL, "record %s is immutable: there is nothing to commit",
				 r->id);
	if (code == 0)
		code = snapshot_keys_refuse(r, "containerd commits it", e);
	if (code == 0)
		code = lease_table_find(m, holder, &l, e);
	if (code == 0)
		manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;
	code = commit_reserved(m, r, l, false, ret_id, e);
	pthread_mutex_lock(&m->lock);
	manager_unreserve(m, r);
	lease_table_put(m, l);
	pthread_mutex_unlock(&m->lock);
	return code;
}

/* The twin becomes the owner of the data, and the mutable record disappears. */
int manager_finalize(struct manager *m, const char *id, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *r;
	int code;

	pthread_mutex_lock(&m->lock);
	code = manager_find(m, id, &r, e);
	if (code == 0 && r->is_mutable)
		code = error_set(e, -EINVAL,
				 "record %s is mutable: commit it first (varve commit %.12s)",
				 r->id, r->id);
	if (code < 0 || !r->twin) {
		pthread_mutex_unlock(&m->lock);
		return code;
	}
	manager_reserve(r);
	pthread_mutex_unlock(&m->lock);

	code = mount_ops_detach(m, r->twin, e);
	if (code == 0) {
		record_rows_set_twin(&c, r->id, NULL);
		record_rows_delete(&c, r->twin->id);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	}
	pthread_mutex_lock(&m->lock);
	if (code == 0)
		record_graph_remove(m->graph, r->twin);
	manager_unreserve(m, r);
	pthread_mutex_unlock(&m->lock);
	return code < 0 ? error_context(e, "finalize %s", r->id) : 0;
}

static bool owns_layer(const struct record *r)
{
	return r->layer->owners == (r->twin ? 2U : 1U);
}

static int detach_both(struct manager *m, struct record *r, struct error *e)
{
	int code = mount_ops_detach(m, r, e);

	return code == 0 && r->twin ? mount_ops_detach(m, r->twin, e) : code;
}

static void delete_rows(struct change_set *c, const struct record *r)
{
	record_rows_delete(c, r->id);
	if (r->twin)
		record_rows_delete(c, r->twin->id);
	if (owns_layer(r))
		layer_rows_delete(c, r->layer->name);
}

int cache_ops_delete(struct manager *m, struct record *const *records, size_t count,
		     struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code = 0;

	for (size_t i = 0; i < count && code == 0; i++) {
		code = detach_both(m, records[i], e);
		delete_rows(&c, records[i]);
	}
	if (code < 0)
		return code;
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return error_context(e, "delete %s", records[0]->id);

	/* From here on they are gone: recover discards a layer that has no record. */
	for (size_t i = 0; i < count; i++) {
		struct error late = { 0 };

		if (owns_layer(records[i]) &&
		    store_files_discard(m, records[i]->layer->name, &late) < 0)
			manager_report(m, true,
				       "record=%s deleted, but %s; the next start will clean up",
				       records[i]->id, late.text);
	}
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < count; i++) {
		if (records[i]->twin)
			record_graph_remove(m->graph, records[i]->twin);
		record_graph_remove(m->graph, records[i]);
	}
	pthread_cond_broadcast(&m->idle);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* What a release changes, so that it can be taken back. */
struct release_state {
	struct record before, twin_before; /* of these the use statistics only */
	bool counting;
};

static void count_use(struct manager *m, struct record *r, int64_t now)
{
	r->ref_uses++;
	r->last_ref_use_ns = now;
	/* A ref that mounted the record is no use by itself: the kernel knows what was read. */
	if (!r->mounted_while_held || usage_bpf_backend(m->usage) == USAGE_BACKEND_NONE) {
		r->hits++;
		r->last_hit_ns = now;
	}
}

static void copy_uses(struct record *to, const struct record *from)
{
	to->hits = from->hits;
	to->last_hit_ns = from->last_hit_ns;
	to->ref_uses = from->ref_uses;
	to->last_ref_use_ns = from->last_ref_use_ns;
}

static void take_back(struct record *r, struct lease *l, const struct release_state *s)
{
	bool mounted = r->mounted_while_held;

	if (record_refs_add(r, l, 1, s->counting ? 1 : 0) == 0)
		r->mounted_while_held = mounted;
	copy_uses(r, &s->before);
	if (r->twin)
		copy_uses(r->twin, &s->twin_before);
}

/* After its last ref: an immutable twin takes its mutable half along, unless one of them is to be
 * retained or pinned; a mutable record that is neither goes with what was never committed. */
bool cache_ops_goes(const struct record *r)
{
	if (r->refs > 0 || (r->twin && r->twin->refs > 0) || r->first_child || record_is_pinned(r))
		return false;
	if (r->twin)
		return !r->retain && !r->twin->retain;
	return r->is_mutable && !r->retain;
}

static int write_release(struct manager *m, struct record *r, struct change_set *c, bool goes,
			 struct error *e)
{
	if (goes)
		return cache_ops_delete(m, &r, 1, e);
	/* First, since after a crash nobody would unmount what nobody holds. Somebody may still be
	 * in it: the tick tries again, and prune keeps it. */
	if (r->refs == 0 && r->mount && mount_ops_detach(m, r, NULL) < 0) {
		pthread_mutex_lock(&m->lock);
		r->mount->unwanted = true;
		pthread_mutex_unlock(&m->lock);
	}
	return change_set_write(c, m->database, DATABASE_RELAXED, e);
}

int cache_ops_release(struct manager *m, struct record *r, struct lease *l, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	const struct hold *h = record_refs_find(r, l);
	struct release_state state = { .counting = h && h->counting_refs > 0 };
	int64_t now = clock_wall_ns();
	bool goes;
	int code;

	if (!h)
		return error_set(e, -ENOENT, "lease '%s' holds no ref on record %s", l->name,
				 r->id);
	copy_uses(&state.before, r);
	if (r->twin)
		copy_uses(&state.twin_before, r->twin);
	if (record_refs_drop(r, l) == 1) {
		count_use(m, r, now);
		record_rows_set_uses(&c, r);
		if (r->twin) {
			copy_uses(r->twin, r);
			record_rows_set_uses(&c, r->twin);
		}
	}
	lease_table_save_hold(&c, r, l);
	goes = cache_ops_goes(r);
	manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	code = write_release(m, r, &c, goes, e);
	pthread_mutex_lock(&m->lock);
	if (code < 0)
		take_back(r, l, &state);
	if (code < 0 || !goes)
		manager_unreserve(m, r);
	return code;
}

int manager_release(struct manager *m, const char *id, const struct manager_holder *holder,
		    struct error *e)
{
	struct record *r;
	struct lease *l;
	int code;

	pthread_mutex_lock(&m->lock);
	code = manager_find(m, id, &r, e);
	if (code == 0)
		code = lease_table_find(m, holder, &l, e);
	/* Who made a record and committed it may still call it by its first name. */
	if (code == 0) {
		if (r->is_mutable && r->twin && !record_refs_find(r, l))
			r = r->twin;
		code = cache_ops_release(m, r, l, e);
		lease_table_put(m, l);
	}
	pthread_mutex_unlock(&m->lock);
	return code;
}

/* "cli" and two others */
static void name_holders(const struct record *r, char *text, size_t size)
{
	size_t others = 0;

	(void)snprintf(text, size, "nobody");
	for (const struct hold *h = r->holds; h; h = h->next_of_record, others++)
		if (h == r->holds)
			(void)snprintf(text, size, "lease '%.100s'", h->lease->name);
	if (others > 1)
		(void)snprintf(text + strlen(text), size - strlen(text), " and %zu more",
			       others - 1);
}

static int refuse_locked(const struct record *r, struct error *e)
{
	char holders[160];

	name_holders(r->twin && r->twin->refs ? r->twin : r, holders, sizeof(holders));
	return error_set(e, -EBUSY, "record %s is locked: %s holds %s", r->id, holders,
			 r->twin && r->twin->refs ? "its committed half" : "it");
}

/* An unheld twin is discarded, so that the data can be written again. */
static int discard_twin(struct manager *m, struct record *r, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *twin = r->twin;
	int code = mount_ops_detach(m, twin, e);

	if (code < 0)
		return code;
	record_rows_set_twin(&c, r->id, NULL);
	record_rows_delete(&c, twin->id);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;
	pthread_mutex_lock(&m->lock);
	record_graph_remove(m->graph, twin);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

int cache_ops_add_ref(struct manager *m, struct record *r, struct lease *l,
		      const struct manager_get_options *options, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code;

	pthread_mutex_lock(&m->lock);
	code = record_refs_add(r, l, 1, options->no_use ? 0 : 1);
	if (code == 0)
		lease_table_save_hold(&c, r, l);
	for (size_t i = 0; code == 0 && i < options->image_ref_count; i++) {
		code = record_add_image_ref(r, options->image_refs[i]);
		record_rows_add_image_ref(&c, r->id, options->image_refs[i]);
	}
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return error_set(e, code, "out of memory");
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0) {
		pthread_mutex_lock(&m->lock);
		(void)record_refs_drop(r, l); /* added above */
		pthread_mutex_unlock(&m->lock);
	}
	return code;
}

/* With the lock: which record a Get is for, and whether it may have it. */
static int choose_for_get(struct record **r, const struct manager_get_options *options,
			  struct error *e)
{
	if (options->is_mutable) {
		if (!(*r)->is_mutable)
			return error_set(e, -EINVAL, "record %s is not mutable", (*r)->id);
		return record_is_held(*r) ? refuse_locked(*r, e) : 0;
	}
	if (!(*r)->is_mutable)
		return 0;
	if (record_is_held(*r))
		return refuse_locked(*r, e);
	if ((*r)->twin)
		*r = (*r)->twin;
	return 0;
}

int manager_get(struct manager *m, const char *id, const struct manager_get_options *options,
		const struct manager_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		struct error *e)
{
	struct record *r;
	struct lease *l;
	int code;

	pthread_mutex_lock(&m->lock);
	code = manager_find(m, id, &r, e);
	if (code == 0 && r->is_mutable)
		code = snapshot_keys_refuse(r, "nobody else can have it", e);
	if (code == 0)
		code = choose_for_get(&r, options, e);
	if (code == 0)
		code = lease_table_find(m, holder, &l, e);
	if (code == 0)
		manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;

	memcpy(ret_id, r->id, sizeof(r->id));
	if (options->is_mutable && r->twin)
		code = discard_twin(m, r, e);
	if (code == 0 && r->is_mutable && !options->is_mutable)
		code = commit_reserved(m, r, l, true, ret_id, e);
	else if (code == 0)
		code = cache_ops_add_ref(m, r, l, options, e);
	pthread_mutex_lock(&m->lock);
	manager_unreserve(m, r);
	lease_table_put(m, l);
	pthread_mutex_unlock(&m->lock);
	return code;
}

int manager_remove(struct manager *m, const char *id, struct error *e)
{
	char holders[160];
	struct record *r;
	int code;

	pthread_mutex_lock(&m->lock);
	code = manager_find(m, id, &r, e);
	if (code == 0)
		code = snapshot_keys_refuse(r, "containerd removes it", e);
	if (code == 0 && (r->refs || (r->twin && r->twin->refs))) {
		name_holders(r->refs ? r : r->twin, holders, sizeof(holders));
		code = error_set(e, -EBUSY,
				 "record %s is in use: %s holds it (varve release %.12s)", r->id,
				 holders, r->id);
	}
	if (code == 0 && r->extractions > 0)
		code = error_set(e, -EBUSY, "record %s is being extracted or exported", r->id);
	if (code == 0 && record_is_pinned(r))
		code = error_set(e, -EBUSY, "record %s is pinned (varve unpin %.12s)", r->id,
				 r->id);
	if (code == 0 && r->first_child)
		code = error_set(e, -ENOTEMPTY, "record %s has children, %s among them", r->id,
				 r->first_child->id);
	if (code == 0)
		manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;
	code = cache_ops_delete(m, &r, 1, e);
	if (code < 0) {
		pthread_mutex_lock(&m->lock);
		manager_unreserve(m, r);
		pthread_mutex_unlock(&m->lock);
	}
	return code;
}
