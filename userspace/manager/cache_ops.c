/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a record. Each operation: reserve under the lock, work without it, publish under it.
 *
 *   operation   database                files                    in between, after a crash
 *   new         creating … live         make layer, mount        the layer is discarded
 *   commit      twin, durable           unmount before           still mutable, not mounted
 *   finalize    mutable row gone        –                        still a twin
 *   delete      deleted … row gone      unmount before, trash    the deletion is finished
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "manager/manager_state.h"
#include "overlay/overlay_mount.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"

/* 25 base-36 characters: 129 random bits. */
static void make_id(char ret_id[RECORD_ID_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	size_t length = 0;

	while (length < RECORD_ID_LENGTH) {
		unsigned char random[32];

		/* 32 bytes are always given whole, and never interrupted, once the pool is up. */
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			continue;
		for (size_t i = 0; i < sizeof(random) && length < RECORD_ID_LENGTH; i++)
			if (random[i] < 252) /* 7 * 36: no digit is likelier than another */
				ret_id[length++] = digits[random[i] % 36];
	}
	ret_id[length] = '\0';
}

static void next_layer_name(struct manager *m, char name[LAYER_NAME_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	uint64_t number = m->next_layer++;
	char reversed[LAYER_NAME_LENGTH + 1];
	size_t length = 0;

	do {
		reversed[length++] = digits[number % 32];
		number /= 32;
	} while (number && length < LAYER_NAME_LENGTH);
	for (size_t i = 0; i < length; i++)
		name[i] = reversed[length - 1 - i];
	name[length] = '\0';
}

static int check_text(const char *what, const char *text, size_t maximum, struct error *e)
{
	size_t length = strlen(text);

	if (length > maximum)
		return error_set(e, -EINVAL, "a %s has at most %zu bytes, not %zu", what, maximum,
				 length);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return error_set(e, -EINVAL, "a %s must not contain control characters",
					 what);
	return 0;
}

static int check_type(const char *type, struct error *e)
{
	static const char *const types[] = { "regular",		"internal",
					     "frontend",	"source.local",
					     "exec.cachemount", "source.git.checkout" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return 0;
	return error_set(e, -EINVAL,
			 "'%.*s' is not a record type: regular, internal, frontend, source.local, "
			 "source.git.checkout and exec.cachemount are",
			 MANAGER_TYPE_MAX, type);
}

static int check_options(const struct manager_new_record *o, struct error *e)
{
	int code = check_text("description", o->description, MANAGER_DESCRIPTION_MAX, e);

	if (code == 0)
		code = check_type(o->type && *o->type ? o->type : "regular", e);
	if (code == 0 && o->label_count > MANAGER_LABELS_MAX)
		code = error_set(e, -EINVAL, "a record has at most %d labels, not %zu",
				 MANAGER_LABELS_MAX, o->label_count);
	for (size_t i = 0; code == 0 && i < o->label_count; i++) {
		code = check_text("label's key", o->labels[i].key, MANAGER_LABEL_TEXT_MAX, e);
		if (code == 0 && !*o->labels[i].key)
			code = error_set(e, -EINVAL, "a label needs a key");
		if (code == 0)
			code = check_text("label's value", o->labels[i].value,
					  MANAGER_LABEL_TEXT_MAX, e);
	}
	if (code == 0 && o->image_ref_count > MANAGER_LABELS_MAX)
		code = error_set(e, -EINVAL, "a record has at most %d image references",
				 MANAGER_LABELS_MAX);
	for (size_t i = 0; code == 0 && i < o->image_ref_count; i++)
		code = check_text("image reference", o->image_refs[i], MANAGER_LABEL_TEXT_MAX, e);
	return code;
}

static struct record *build_record(const struct manager_new_record *o)
{
	char id[RECORD_ID_LENGTH + 1];
	cleanup(record_free) struct record *r = NULL;

	make_id(id);
	r = record_new(id, o->description, o->type && *o->type ? o->type : "regular");
	if (!r)
		return NULL;
	for (size_t i = 0; i < o->label_count; i++)
		if (record_set_label(r, o->labels[i].key, o->labels[i].value) < 0)
			return NULL;
	for (size_t i = 0; i < o->image_ref_count; i++)
		if (record_add_image_ref(r, o->image_refs[i]) < 0)
			return NULL;
	r->is_mutable = true;
	r->retain = o->retain;
	r->created_ns = o->created_ns ? o->created_ns : clock_wall_ns();
	r->state = RECORD_CREATING;
	r->busy = true;
	return take_ptr(r);
}

/* With the lock: the parent of a new record, finalized; lets go of the lock where that takes work.
 */
static int find_parent(struct manager *m, const char *id, struct record **ret_parent,
		       struct error *e)
{
	struct record *parent;
	int code = manager_find(m, id, &parent, e);

	if (code == 0 && parent->twin && !parent->is_mutable) {
		pthread_mutex_unlock(&m->lock);
		code = manager_finalize(m, id, e);
		pthread_mutex_lock(&m->lock);
		if (code == 0)
			code = manager_find(m, id, &parent, e);
	}
	if (code < 0)
		return code;
	if (parent->is_mutable)
		return error_set(e, -EINVAL,
				 "record %s is still mutable and cannot be a parent: commit it "
				 "first (varve commit %.12s)",
				 parent->id, parent->id);
	if (record_graph_depth(parent) >= OVERLAY_MAX_LOWERS)
		return error_set(e, -EMFILE,
				 "record %s is %zu layers deep already: overlayfs stacks at most "
				 "%d layers",
				 parent->id, record_graph_depth(parent), OVERLAY_MAX_LOWERS);
	*ret_parent = parent;
	return 0;
}

/* With the lock: puts the record into the graph, not yet to be found, with its layer and hold. */
static int reserve_new(struct manager *m, const struct manager_new_record *o, struct lease *l,
		       struct record **r, struct error *e)
{
	struct record *parent = NULL;
	char name[LAYER_NAME_LENGTH + 1];
	struct layer *layer;
	int code = 0;

	if (record_graph_count(m->graph) >= MANAGER_RECORDS_MAX)
		code = error_set(e, -EMFILE, "the store has %d records, which is all it takes",
				 MANAGER_RECORDS_MAX);
	if (code == 0 && o->parent && *o->parent)
		code = find_parent(m, o->parent, &parent, e);
	if (code < 0)
		return code;
	next_layer_name(m, name);
	layer = record_graph_add_layer(m->graph, name);
	if (!layer)
		return error_set(e, -ENOMEM, "out of memory");
	code = record_graph_insert(m->graph, *r, parent, layer);
	if (code < 0) {
		record_graph_remove_layer(m->graph, layer);
		return error_set(e, code, "new record: %s", strerror(-code));
	}
	layer->size_known = layer->measured = true; /* empty */
	code = record_refs_add(*r, l, 1, 1);
	if (code < 0) {
		record_graph_remove(m->graph, *r);
		*r = NULL;
		return error_set(e, code, "out of memory");
	}
	return 0;
}

static int write_new(struct manager *m, const struct record *r, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	layer_rows_insert(&c, r->layer->name);
	record_rows_insert(&c, r, RECORD_CREATING);
	return change_set_write(&c, m->database, DATABASE_RELAXED, e);
}

static int write_live(struct manager *m, const struct record *r, const struct lease *l,
		      struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	record_rows_set_state(&c, r->id, RECORD_LIVE);
	pthread_mutex_lock(&m->lock);
	lease_ops_save_hold(&c, r, l);
	pthread_mutex_unlock(&m->lock);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

/* Takes back what a failed manager_new() has made so far; what cannot be taken back now is found by
 * recover, since its row still says that it was being created. */
static void undo_new(struct manager *m, struct record *r, bool files)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct error e = { 0 };
	int code = mount_ops_detach(m, r, &e);

	if (code == 0 && files)
		code = store_files_discard(m, r->layer->name, &e);
	if (code == 0) {
		record_rows_delete(&c, r->id);
		layer_rows_delete(&c, r->layer->name);
		code = change_set_write(&c, m->database, DATABASE_RELAXED, &e);
	}
	if (code < 0)
		manager_report(m, true, "undo new record %s: %s; the next start will", r->id,
			       e.text);
	pthread_mutex_lock(&m->lock);
	record_refs_clear(r);
	record_graph_remove(m->graph, r);
	pthread_cond_broadcast(&m->idle);
	pthread_mutex_unlock(&m->lock);
}

int manager_new(struct manager *m, const struct manager_new_record *options,
		const struct manager_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		char **ret_mountpoint, struct error *e)
{
	cleanup(free_ptr) char *mountpoint = NULL;
	cleanup(record_free) struct record *unborn = NULL;
	struct record *r;
	struct lease *l;
	bool files = false;
	int code = check_options(options, e);

	if (code < 0)
		return code;
	unborn = build_record(options);
	if (!unborn)
		return error_set(e, -ENOMEM, "out of memory");
	pthread_mutex_lock(&m->lock);
	code = lease_ops_find(m, holder, &l, e);
	if (code == 0) {
		code = reserve_new(m, options, l, &unborn, e);
		if (code < 0)
			lease_ops_put(m, l);
	}
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;
	r = take_ptr(unborn);

	code = write_new(m, r, e);
	if (code == 0) {
		code = store_files_make(m, r->layer->name, e);
		files = code == 0;
	}
	if (code == 0)
		code = mount_ops_attach(m, r, e);
	if (code == 0 && !(mountpoint = mount_ops_path(m, r, false)))
		code = error_set(e, -ENOMEM, "out of memory");
	if (code == 0)
		code = write_live(m, r, l, e);
	if (code < 0)
		undo_new(m, r, files);
	pthread_mutex_lock(&m->lock);
	if (code == 0) {
		r->state = RECORD_LIVE;
		memcpy(ret_id, r->id, sizeof(r->id));
		manager_unreserve(m, r);
	}
	lease_ops_put(m, l);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;
	*ret_mountpoint = take_ptr(mountpoint);
	return 0;
}

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

	twin = build_record(&options);
	if (!twin)
		return error_set(e, -ENOMEM, "out of memory");
	twin->is_mutable = false;
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
		lease_ops_save_hold(&c, twin, l);
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
		code = lease_ops_find(m, holder, &l, e);
	if (code == 0)
		manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;
	code = commit_reserved(m, r, l, false, ret_id, e);
	pthread_mutex_lock(&m->lock);
	manager_unreserve(m, r);
	lease_ops_put(m, l);
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

int cache_ops_delete(struct manager *m, struct record *r, struct error *e)
{
	cleanup(change_set_free) struct change_set deleted = { 0 }, gone = { 0 };
	struct error late = { 0 };
	struct record *twin = r->twin;
	unsigned owners = twin ? 2 : 1;
	int code = mount_ops_detach(m, r, e);

	if (code == 0 && twin)
		code = mount_ops_detach(m, twin, e);
	if (code < 0)
		return code;
	record_rows_set_state(&deleted, r->id, RECORD_DELETED);
	if (twin)
		record_rows_set_state(&deleted, twin->id, RECORD_DELETED);
	code = change_set_write(&deleted, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return error_context(e, "delete %s", r->id);

	/* From here on it is gone, whatever happens: recover finishes what fails. */
	record_rows_delete(&gone, r->id);
	if (twin)
		record_rows_delete(&gone, twin->id);
	if (r->layer->owners == owners) {
		layer_rows_delete(&gone, r->layer->name);
		code = store_files_discard(m, r->layer->name, &late);
	}
	if (code == 0)
		code = change_set_write(&gone, m->database, DATABASE_RELAXED, &late);
	if (code < 0)
		manager_report(m, true, "record=%s deleted, but %s; the next start will clean up",
			       r->id, late.text);
	pthread_mutex_lock(&m->lock);
	if (twin)
		record_graph_remove(m->graph, twin);
	record_graph_remove(m->graph, r);
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
 * retained; a mutable record that is not retained goes with what was never committed. */
bool cache_ops_goes(const struct record *r)
{
	if (r->refs > 0 || (r->twin && r->twin->refs > 0) || r->first_child)
		return false;
	if (r->twin)
		return !r->retain && !r->twin->retain;
	return r->is_mutable && !r->retain;
}

static int write_release(struct manager *m, struct record *r, struct change_set *c, bool goes,
			 struct error *e)
{
	int code;

	if (goes)
		return cache_ops_delete(m, r, e);
	code = change_set_write(c, m->database, DATABASE_RELAXED, e);
	if (code == 0 && r->refs == 0 && r->mount) {
		/* Somebody may still be in it: the tick tries again, and prune keeps it. */
		if (mount_ops_detach(m, r, NULL) < 0)
			r->mount->unwanted = true;
	}
	return code;
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
	lease_ops_save_hold(&c, r, l);
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
		code = lease_ops_find(m, holder, &l, e);
	/* Who made a record and committed it may still call it by its first name. */
	if (code == 0) {
		if (r->is_mutable && r->twin && !record_refs_find(r, l))
			r = r->twin;
		code = cache_ops_release(m, r, l, e);
		lease_ops_put(m, l);
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

static int add_ref(struct manager *m, struct record *r, struct lease *l,
		   const struct manager_get_options *options, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code;

	pthread_mutex_lock(&m->lock);
	code = record_refs_add(r, l, 1, options->no_use ? 0 : 1);
	if (code == 0)
		lease_ops_save_hold(&c, r, l);
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
	if (code == 0)
		code = choose_for_get(&r, options, e);
	if (code == 0)
		code = lease_ops_find(m, holder, &l, e);
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
		code = add_ref(m, r, l, options, e);
	pthread_mutex_lock(&m->lock);
	manager_unreserve(m, r);
	lease_ops_put(m, l);
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
	if (code == 0 && (r->refs || (r->twin && r->twin->refs))) {
		name_holders(r->refs ? r : r->twin, holders, sizeof(holders));
		code = error_set(e, -EBUSY,
				 "record %s is in use: %s holds it (varve release %.12s)", r->id,
				 holders, r->id);
	}
	if (code == 0 && r->first_child)
		code = error_set(e, -ENOTEMPTY, "record %s has children, %s among them", r->id,
				 r->first_child->id);
	if (code == 0)
		manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;
	code = cache_ops_delete(m, r, e);
	if (code < 0) {
		pthread_mutex_lock(&m->lock);
		manager_unreserve(m, r);
		pthread_mutex_unlock(&m->lock);
	}
	return code;
}
