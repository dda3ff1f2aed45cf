/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that are not in the database yet: their texts are checked, they are built, they take
 * their place in the graph, and are taken back when they cannot be finished.
 */
#include "manager/records/record_draft.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "manager/history/history.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/state/new_names.h"
#include "manager/records/record_finalize.h"
#include "manager/state/store_files.h"
#include "overlay/overlay_options.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"
#include "store/usage_rows.h"

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

int record_draft_check_label_key(const char *key, struct error *e)
{
	if (strncmp(key, RECORD_LABEL_RESERVED, strlen(RECORD_LABEL_RESERVED)) == 0)
		return error_set(e, -EINVAL,
				 "label '%.*s' is the agent's: keys that start with '%s' are "
				 "reserved",
				 MANAGER_LABEL_TEXT_MAX, key, RECORD_LABEL_RESERVED);
	return 0;
}

static int check_label(const struct record_label *label, struct error *e)
{
	int code = check_text("label's key", label->key, MANAGER_LABEL_TEXT_MAX, e);

	if (code < 0)
		return code;
	if (!*label->key)
		return error_set(e, -EINVAL, "a label needs a key");
	code = record_draft_check_label_key(label->key, e);
	if (code < 0)
		return code;
	return check_text("label's value", label->value, MANAGER_LABEL_TEXT_MAX, e);
}

int record_draft_check_labels(const struct record_label *labels, size_t count, struct error *e)
{
	if (count > MANAGER_LABELS_MAX)
		return error_set(e, -EINVAL, "a record has at most %d labels, not %zu",
				 MANAGER_LABELS_MAX, count);
	for (size_t i = 0; i < count; i++) {
		int code = check_label(&labels[i], e);

		if (code < 0)
			return code;
	}
	return 0;
}

static int check_image_refs(const char *const *refs, size_t count, struct error *e)
{
	if (count > MANAGER_IMAGE_REFS_MAX)
		return error_set(e, -EINVAL, "a record has at most %d image references, not %zu",
				 MANAGER_IMAGE_REFS_MAX, count);
	for (size_t i = 0; i < count; i++) {
		int code = check_text("image reference", refs[i], MANAGER_LABEL_TEXT_MAX, e);

		if (code < 0)
			return code;
	}
	return 0;
}

int record_draft_check(const struct record_options *o, struct error *e)
{
	int code = check_text("description", o->description, MANAGER_DESCRIPTION_MAX, e);

	if (code < 0)
		return code;
	code = check_type(o->type && *o->type ? o->type : "regular", e);
	if (code < 0)
		return code;
	code = record_draft_check_labels(o->labels, o->label_count, e);
	return code < 0 ? code : check_image_refs(o->image_refs, o->image_ref_count, e);
}

int record_draft_check_texts(const char *description, const char *type, const char *image_ref,
			     struct error *e)
{
	struct record_options options = { .description = description,
					  .type = type,
					  .image_refs = &image_ref,
					  .image_ref_count = image_ref ? 1 : 0 };

	return record_draft_check(&options, e);
}

struct record *record_draft_build(const struct record_options *o, const struct id_map *map)
{
	char id[RECORD_ID_LENGTH + 1];
	cleanup(record_free) struct record *r = NULL;

	new_names_record_id(id);
	r = record_new(id, o->description, o->type && *o->type ? o->type : "regular");
	if (!r)
		return NULL;
	for (size_t i = 0; i < o->label_count; i++)
		if (record_set_label(r, o->labels[i].key, o->labels[i].value) < 0)
			return NULL;
	for (size_t i = 0; i < o->image_ref_count; i++)
		if (record_add_image_ref(r, o->image_refs[i]) < 0)
			return NULL;
	if (map && id_map_copy(map, &r->id_map) < 0)
		return NULL;
	r->is_mutable = true;
	r->retain = o->retain;
	r->created_ns = o->created_ns ? o->created_ns : clock_wall_ns();
	r->state = RECORD_CREATING;
	r->busy = true;
	return take_ptr(r);
}

int record_draft_check_depth(const struct record *parent, struct error *e)
{
	size_t depth = record_graph_depth(parent);

	manager_assert_some_locked();
	if (depth >= OVERLAY_MAX_LOWERS)
		return error_set(e, -EMFILE,
				 "record %s is %zu layers deep already: overlayfs stacks at most "
				 "%d layers",
				 parent->id, depth, OVERLAY_MAX_LOWERS);
	return 0;
}

/* With the lock, which is given back meanwhile. */
static int finalize_parent(struct manager *m, const char *id, struct record **parent,
			   struct error *e)
{
	int code;

	manager_assert_locked(m);
	manager_unlock(m);
	code = record_finalize(m, id, e);
	manager_lock(m);
	return code < 0 ? code : manager_find(m, id, parent, e);
}

int record_draft_find_parent(struct manager *m, const char *id, struct record **ret_parent,
			     struct error *e)
{
	struct record *parent;
	int code;

	manager_assert_locked(m);
	code = manager_find(m, id, &parent, e);
	if (code < 0)
		return code;
	if (parent->twin && !parent->is_mutable) {
		code = finalize_parent(m, id, &parent, e);
		if (code < 0)
			return code;
	}
	if (parent->is_mutable)
		return error_set(e, -EINVAL,
				 "record %s is still mutable and cannot be a parent: commit it "
				 "first (varve commit %.12s)",
				 parent->id, parent->id);
	*ret_parent = parent;
	return record_draft_check_depth(parent, e);
}

int record_draft_insert(struct manager *m, struct record **r, struct record *parent,
			struct lease *l, const char *layer_name, struct error *e)
{
	char name[LAYER_NAME_LENGTH + 1];
	struct layer *layer;
	int code;

	manager_assert_locked(m);
	if (record_graph_count(m->graph) >= MANAGER_RECORDS_MAX)
		return error_set(e, -EMFILE, "the store has %d records, which is all it takes",
				 MANAGER_RECORDS_MAX);
	if (*layer_name)
		(void)snprintf(name, sizeof(name), "%s", layer_name);
	else
		new_names_layer(m, name);
	layer = record_graph_add_layer(m->graph, name);
	if (!layer)
		return error_set(e, -ENOMEM, "out of memory");
	code = record_graph_insert(m->graph, *r, parent, layer);
	if (code < 0) {
		record_graph_remove_layer(m->graph, layer);
		return error_set(e, code, "new record: %s", strerror(-code));
	}
	history_begin(m, *r);
	layer->size_known = layer->measured = true; /* empty */
	code = record_refs_add(*r, l, 1, 1);
	if (code < 0) {
		history_undone(m, name);
		record_graph_remove(m->graph, *r);
		*r = NULL;
		return error_set(e, code, "out of memory");
	}
	return 0;
}

static int undo_files_and_rows(struct manager *m, struct record *r, const struct mount *unmade,
			       bool files, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code = mount_detach(m, r, e);

	if (code < 0)
		return code;
	if (files) {
		code = store_files_discard(m, r->layer->name, e);
		if (code < 0)
			return code;
	}
	record_rows_delete(&c, r->id);
	layer_rows_delete(&c, r->layer->name);
	history_rows_delete_past(&c, r->layer->name);
	if (unmade)
		usage_rows_delete_mount(&c, (int64_t)unmade->id);
	return change_set_write(&c, m->database, DATABASE_RELAXED, e);
}

void record_draft_undo(struct manager *m, struct record *r, const struct mount *unmade, bool files)
{
	struct error e = { 0 };

	manager_assert_unlocked(m);
	if (undo_files_and_rows(m, r, unmade, files, &e) < 0)
		manager_report(m, true, "undo new record %s: %s; the next start will", r->id,
			       e.text);

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	record_refs_clear(r);
	history_undone(locked, r->layer->name);
	record_graph_remove(locked->graph, r);
	pthread_cond_broadcast(&locked->idle);
}
