/* SPDX-License-Identifier: Apache-2.0 */
/* What containerd asks about snapshots, and changes of their labels. */
#include "manager/snapshots/snapshot_view.h"

#include <errno.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "graph/record_filter.h"
#include "manager/state/reservation.h"
#include "manager/state/manager_state.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/snapshots/snapshot_known.h"
#include "manager/state/store_files.h"
#include "store/record_rows.h"
#include "store/snapshot_rows.h"
#include "layer/disk_walk.h"

static const char *parent_of(const struct snapshot *s)
{
	const struct record *parent = s->record->parent;

	return parent && parent->snapshot ? parent->snapshot->key : "";
}

void snapshot_view_free(struct snapshot_view *v)
{
	free(v->memory);
	*v = (struct snapshot_view){ 0 };
}

void snapshot_views_free(struct snapshot_view *views, size_t count)
{
	for (size_t i = 0; i < count; i++)
		snapshot_view_free(&views[i]);
	free(views);
}

static size_t text_bytes(const struct snapshot *s)
{
	const struct record *r = s->record;
	size_t bytes = strlen(s->key) + strlen(parent_of(s)) + 2;

	for (size_t i = 0; i < r->label_count; i++)
		bytes += strlen(r->labels[i].key) + strlen(r->labels[i].value) + 2;
	return bytes;
}

/* Moves *end behind the copy. */
static char *copy_text(char **end, const char *text)
{
	char *copy = *end;

	*end = stpcpy(copy, text) + 1;
	return copy;
}

/* With the lock, which a listing holds for all its views: so each takes one allocation. */
static int make_view(const struct snapshot *s, struct snapshot_view *ret_view)
{
	const struct record *r = s->record;
	struct snapshot_view v = { .kind = s->kind,
				   .created_ns = s->created_ns,
				   .updated_ns = s->updated_ns,
				   .is_known = snapshot_known_is_one(r),
				   .label_count = r->label_count };
	size_t label_bytes = r->label_count * sizeof(*v.labels);
	char *end;

	manager_assert_some_locked();
	v.memory = malloc(label_bytes + text_bytes(s));
	if (!v.memory)
		return -ENOMEM;
	v.labels = v.memory;
	end = (char *)v.memory + label_bytes;
	v.name = copy_text(&end, s->key);
	v.parent = copy_text(&end, parent_of(s));
	for (size_t i = 0; i < r->label_count; i++) {
		v.labels[i].key = copy_text(&end, r->labels[i].key);
		v.labels[i].value = copy_text(&end, r->labels[i].value);
	}
	*ret_view = v;
	return 0;
}

static int give_view(const struct snapshot *s, struct snapshot_view *ret_view, struct error *e)
{
	return make_view(s, ret_view) < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
}

/* Neither being made nor the new name of a commit under way. */
static bool is_listed(const struct snapshot *s)
{
	return s->record->state == RECORD_LIVE && s->record->snapshot == s;
}

/* Like snapshot_keys_get(), but does not wait for what other threads do to a snapshot that is
 * there, such as unpacking a layer into it. */
static int get_to_show(struct manager *m, const char *key, struct snapshot **ret_snapshot,
		       struct error *e)
{
	struct snapshot *s = hashmap_find(m->snapshots, key);

	if (!s || !is_listed(s))
		return snapshot_keys_get(m, key, ret_snapshot, e);
	*ret_snapshot = s;
	return 0;
}

int snapshot_view_stat(struct manager *m, const char *key, struct snapshot_view *ret_view,
		       struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot *s;
	int code = get_to_show(locked, key, &s, e);

	return code < 0 ? code : give_view(s, ret_view, e);
}

/* ---- list ---- */

static const char *find_label(const struct snapshot_view *v, const char *const *path, size_t parts)
{
	for (size_t i = 0; i < v->label_count; i++) {
		const char *key = v->labels[i].key;
		size_t part = 0;

		/* The parts, with dots between them. */
		for (; part < parts; part++) {
			size_t length = strlen(path[part]);

			if (strncmp(key, path[part], length) != 0)
				break;
			key += length;
			if (part + 1 < parts && *key++ != '.')
				break;
		}
		if (part == parts && *key == '\0')
			return v->labels[i].value;
	}
	return NULL;
}

static const char *field(const char *const *path, size_t parts, char *buffer, size_t size,
			 void *user)
{
	const struct snapshot_view *v = user;

	(void)buffer;
	(void)size;
	if (strcmp(path[0], "labels") == 0)
		return find_label(v, path + 1, parts - 1);
	if (strcmp(path[0], "name") == 0)
		return v->name;
	if (strcmp(path[0], "parent") == 0)
		return v->parent;
	if (strcmp(path[0], "kind") == 0)
		return snapshot_kind_name(&(struct snapshot){ .kind = v->kind });
	return NULL;
}

struct listing {
	struct snapshot_view *views;
	size_t count;
};

static void listing_free(struct listing *l)
{
	snapshot_views_free(l->views, l->count);
}
DEFINE_CLEANUP_VALUE(struct listing, listing_free)

static int view_all(struct manager *m, const atomic_bool *cancelled, struct listing *l,
		    struct error *e)
{
	size_t count = 0;
	struct snapshot **sorted;

	manager_assert_locked(m);
	sorted = snapshot_keys_sorted(m, &count);
	if (sorted)
		l->views = malloc((count + 1) * sizeof(*l->views));
	if (!l->views)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count && !is_cancelled(cancelled); i++) {
		if (!is_listed(sorted[i]))
			continue;
		if (make_view(sorted[i], &l->views[l->count]) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		l->count++;
	}
	return cancellation_check(cancelled, e);
}

/* On copies, since a filter may take long: the lock is for others meanwhile. */
static int apply_filter(struct listing *l, const struct record_filter *filter,
			const atomic_bool *cancelled, struct error *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct snapshot_view dropped = l->views[kept];
		int code = cancellation_check(cancelled, e);

		if (code < 0)
			return code;
		if (!record_filter_match(filter, field, &l->views[i]))
			continue;
		/* Swapped, so that the list owns each view once, also when it ends early. */
		l->views[kept++] = l->views[i];
		l->views[i] = dropped;
	}
	for (size_t i = kept; i < l->count; i++)
		snapshot_view_free(&l->views[i]);
	l->count = kept;
	return 0;
}

static int known_first(const void *a, const void *b)
{
	const struct snapshot_view *x = a, *y = b;

	if (x->is_known != y->is_known)
		return x->is_known ? -1 : 1;
	if (x->is_known && x->created_ns != y->created_ns)
		return x->created_ns > y->created_ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

int snapshot_view_list(struct manager *m, const char *const *filters, size_t filter_count,
		       const atomic_bool *cancelled, struct snapshot_view **ret_views,
		       size_t *ret_count, struct error *e)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	cleanup(listing_free) struct listing l = { .count = 0 };
	int code = record_filter_parse(filters, filter_count, &filter, e);

	if (code < 0)
		return code;
	manager_lock(m);
	code = view_all(m, cancelled, &l, e);
	manager_unlock(m);
	if (code < 0)
		return code;
	code = apply_filter(&l, filter, cancelled, e);
	if (code < 0)
		return code;
	if (filter_count > 0)
		qsort(l.views, l.count, sizeof(*l.views), known_first);
	*ret_count = l.count;
	*ret_views = take_ptr(l.views);
	l.count = 0;
	return 0;
}

/* Bytes and inodes as they were committed, and the layer's name of an active snapshot, whose usage
 * is measured; `name` stays empty for the others. */
static int look_at(struct manager *m, const char *key, char name[LAYER_NAME_LENGTH + 1],
		   int64_t *bytes, int64_t *inodes, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot *s;
	int code = get_to_show(locked, key, &s, e);

	if (code < 0)
		return code;
	*bytes = s->size_bytes;
	*inodes = s->inodes;
	if (s->kind == SNAPSHOT_ACTIVE)
		memcpy(name, s->record->layer->name, LAYER_NAME_LENGTH + 1);
	return 0;
}

int snapshot_view_usage(struct manager *m, const char *key, const atomic_bool *cancelled,
			int64_t *ret_bytes, int64_t *ret_inodes, struct error *e)
{
	char name[LAYER_NAME_LENGTH + 1] = "";
	cleanup(close_fd) int fd = -EBADF;
	struct disk_usage now;
	struct stat root;
	int code = look_at(m, key, name, ret_bytes, ret_inodes, e);

	if (code < 0 || !*name)
		return code;
	atomic_fetch_add(&m->disk_walks, 1);
	code = store_files_open_layer(m, name, &fd, e);
	if (code < 0)
		return code;
	code = disk_walk(fd, cancelled, &now, e);
	if (code < 0)
		return code;
	if (fstat(fd, &root) < 0)
		return error_set(e, -errno, "the layer's root: %s", strerror(errno));
	*ret_bytes = now.allocated_bytes + snapshot_keys_root_bytes(&root);
	*ret_inodes = now.inodes + 1;
	return 0;
}

/* ---- update ---- */

static const char *find_value(const struct record_label *labels, size_t count, const char *key)
{
	const char *value = "";

	for (size_t i = 0; i < count; i++) /* as in a map, the last one counts */
		if (strcmp(labels[i].key, key) == 0)
			value = labels[i].value;
	return value;
}

struct update {
	const char *key;
	const struct record_label *labels;
	size_t label_count;
	struct record_label *wanted; /* borrowed texts */
	size_t wanted_count;
};

static int apply_path(struct update *u, const char *path, struct error *e)
{
	static const char prefix[] = "labels.";

	if (strcmp(path, "labels") == 0) {
		for (u->wanted_count = 0; u->wanted_count < u->label_count; u->wanted_count++)
			u->wanted[u->wanted_count] = u->labels[u->wanted_count];
		return 0;
	}
	if (strncmp(path, prefix, strlen(prefix)) != 0)
		return error_set(e, -EINVAL,
				 "cannot update \"%.256s\" field on snapshot \"%.256s\": invalid "
				 "argument",
				 path, u->key);
	path += strlen(prefix);
	for (size_t i = 0; i < u->wanted_count; i++)
		if (strcmp(u->wanted[i].key, path) == 0)
			u->wanted[i--] = u->wanted[--u->wanted_count];
	u->wanted[u->wanted_count++] = (struct record_label){
		.key = (char *)path,
		.value = (char *)find_value(u->labels, u->label_count, path),
	};
	return 0;
}

static int apply_paths(struct update *u, const char *const *paths, size_t path_count,
		       struct error *e)
{
	if (path_count == 0)
		return apply_path(u, "labels", e);
	for (size_t i = 0; i < path_count; i++) {
		int code = apply_path(u, paths[i], e);

		if (code < 0)
			return code;
	}
	return 0;
}

/* The labels that the record will have, in a record without a place in the graph. */
static int draft_update(const struct record *r, struct update *u, const char *const *paths,
			size_t path_count, struct record **ret_draft, struct error *e)
{
	cleanup(free_ptr) struct record_label *wanted =
		calloc(r->label_count + u->label_count + path_count + 1, sizeof(*wanted));
	int code;

	if (!wanted)
		return error_set(e, -ENOMEM, "out of memory");
	u->wanted = wanted;
	for (; u->wanted_count < r->label_count; u->wanted_count++)
		wanted[u->wanted_count] = r->labels[u->wanted_count];
	code = apply_paths(u, paths, path_count, e);
	u->wanted = NULL;
	return code < 0 ? code : snapshot_keys_draft(wanted, u->wanted_count, ret_draft, e);
}

static int write_update(struct manager *m, const struct record *r, const struct record *draft,
			int64_t now_ns, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	record_rows_delete_labels(&c, r->id);
	record_rows_add_labels(&c, r->id, draft->labels, draft->label_count);
	snapshot_rows_set_updated(&c, r->id, now_ns);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

static int reserve(struct manager *m, const char *key, struct reservation *ret_reserved,
		   struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot *s;
	int code = snapshot_keys_get(locked, key, &s, e);

	if (code < 0)
		return code;
	reservation_begin(locked, s->record, ret_reserved);
	return 0;
}

int snapshot_view_update(struct manager *m, const char *key, const char *const *paths,
			 size_t path_count, const struct record_label *labels, size_t label_count,
			 struct snapshot_view *ret_view, struct error *e)
{
	struct update u = { .key = key, .labels = labels, .label_count = label_count };
	cleanup(record_free) struct record *draft = NULL;
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int64_t now = clock_wall_ns();
	int code = reserve(m, key, &reserved, e);

	if (code < 0)
		return code;
	code = draft_update(reserved.record, &u, paths, path_count, &draft, e);
	if (code < 0)
		return code;
	code = write_update(m, reserved.record, draft, now, e);
	if (code < 0)
		return code;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	record_swap_labels(reserved.record, draft);
	reserved.record->snapshot->updated_ns = now;
	return give_view(reserved.record->snapshot, ret_view, e);
}
