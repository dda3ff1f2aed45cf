/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of records for listings, and the facts that filters can ask about. */
#include "manager/records/record_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "graph/record_content.h"
#include "manager/content/content_blobs.h"
#include "manager/records/record_select.h"
#include "manager/history/history_forecast.h"
#include "manager/state/manager_state.h"
#include "manager/records/layer_sizes.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/counter_fold.h"

/* What has just been measured may have changed since, and is shown as it was. */
static bool is_size_known(const struct manager *m, const struct record *r, enum record_size size)
{
	return size == RECORD_SIZE_KNOWN ? layer_sizes_is_known(m, r) : r->layer->measured;
}

static int64_t size_of(const struct manager *m, const struct record *r, enum record_size size)
{
	if (r->layer->lazy)
		return size == RECORD_SIZE_ON_DISK ? content_blobs_size(m, r)
						   : r->content->size_bytes;
	return is_size_known(m, r, size) ? r->layer->allocated_bytes + content_blobs_size(m, r)
					 : -1;
}

struct record_facts record_list_facts(const struct manager *m, const struct record *r,
				      enum record_size size)
{
	const struct layer *l = r->layer;

	manager_assert_locked(m);
	return (struct record_facts){
		.id = r->id,
		.parent = r->parent ? r->parent->id : NULL,
		.description = r->description,
		.type = r->type,
		.labels = r->labels,
		.label_count = r->label_count,
		.in_use = r->marked,
		.is_mutable = r->is_mutable,
		.shared = r->shared,
		.pinned = record_is_pinned(r),
		.retain = r->retain,
		.size_bytes = size_of(m, r, size),
		.created_ns = r->created_ns,
		.last_used_ns = record_last_used_ns(r),
		.last_read_ns = l->access.last_ns,
		.usage_count = record_usage_count(r),
		.opens = layer_counter(l, USAGE_OPENS),
	};
}

static void free_view(struct record_view *v)
{
	struct record *r = &v->record;

	free(r->description);
	record_type_free(r->type);
	if (r->labels)
		record_labels_free(r->labels, r->label_count);
	for (size_t i = 0; r->image_refs && i < r->image_ref_count; i++)
		free(r->image_refs[i]);
	free(r->image_refs);
	id_map_free(&r->id_map);
	id_map_free(&v->mount_id_map);
	for (size_t i = 0; i < v->child_count; i++)
		free(v->children[i]);
	free(v->children);
	for (size_t i = 0; i < v->hold_count; i++)
		free(v->holds[i].name);
	free(v->holds);
	free(v->snapshot_key);
	free(v->mountpoint);
	record_content_free(r->content);
}

void record_list_free(struct record_view *views, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_view(&views[i]);
	free(views);
}

static int copy_labels(struct record *to, const struct record *from)
{
	to->label_count = 0;
	to->labels = calloc(from->label_count + 1, sizeof(*to->labels));
	to->image_ref_count = 0;
	to->image_refs = calloc(from->image_ref_count + 1, sizeof(*to->image_refs));
	if (!to->labels || !to->image_refs)
		return -ENOMEM;
	for (size_t i = 0; i < from->label_count; i++) {
		to->labels[i].key = strdup(from->labels[i].key);
		to->labels[i].value = strdup(from->labels[i].value);
		to->label_count++;
		if (!to->labels[i].key || !to->labels[i].value)
			return -ENOMEM;
	}
	for (size_t i = 0; i < from->image_ref_count; i++) {
		to->image_refs[i] = strdup(from->image_refs[i]);
		if (!to->image_refs[to->image_ref_count++])
			return -ENOMEM;
	}
	return 0;
}

static int copy_links(struct record_view *v, const struct record *r)
{
	size_t children = 0, holds = 0;

	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		children += c->state == RECORD_LIVE;
	for (const struct hold *h = r->holds; h; h = h->next_of_record)
		holds++;
	v->children = calloc(children + 1, sizeof(char *));
	v->holds = calloc(holds + 1, sizeof(*v->holds));
	if (!v->children || !v->holds)
		return -ENOMEM;
	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		if (c->state == RECORD_LIVE && !(v->children[v->child_count++] = strdup(c->id)))
			return -ENOMEM;
	for (const struct hold *h = r->holds; h; h = h->next_of_record) {
		v->holds[v->hold_count].refs = h->refs;
		if (!(v->holds[v->hold_count++].name = strdup(h->lease->name)))
			return -ENOMEM;
	}
	return 0;
}

/* Several images have the record, or another record has its layer. */
static bool has_several_images(const struct record *r)
{
	return r->image_ref_count > 1 || r->layer->owners > (r->twin ? 2U : 1U);
}

/* The copy owns nothing of what the record points to. */
static void clear_pointers(struct record *copy)
{
	copy->parent = copy->first_child = copy->next_sibling = copy->previous_sibling = NULL;
	copy->twin = NULL;
	copy->holds = NULL;
	copy->mount = NULL;
	copy->snapshot = NULL;
	copy->layer = NULL;
	copy->labels = NULL;
	copy->image_refs = NULL;
	copy->id_map = (struct id_map){ 0 };
	copy->content = NULL;
}

/* With the lock, after record_refs_mark_in_use() and record_refs_mark_shared(). */
static int make_view(const struct manager *m, const struct record *r, enum record_size size,
		     struct record_view *v)
{
	const struct mount *mount = r->mount;
	struct record *copy = &v->record;

	manager_assert_locked(m);
	v->record = *r;
	v->record.pinned = record_is_pinned(r);
	v->layer = *r->layer;
	v->layer.counts = NULL;
	v->access = layer_access(r->layer);
	v->in_use = r->marked;
	v->images_share = has_several_images(r);
	v->uncounted = record_is_uncounted(r);
	v->size_known = is_size_known(m, r, size);
	v->size_bytes = size_of(m, r, size);
	v->blob_here = r->content && content_blobs_has(m, &r->content->blob);
	if (r->parent)
		memcpy(v->parent, r->parent->id, sizeof(v->parent));
	if (r->twin)
		memcpy(v->twin, r->twin->id, sizeof(v->twin));
	clear_pointers(copy);
	copy->description = strdup(r->description);
	copy->type = record_type_copy(r->type);
	if (!copy->description || !copy->type || copy_labels(copy, r) < 0 || copy_links(v, r) < 0 ||
	    id_map_copy(&r->id_map, &copy->id_map) < 0)
		return -ENOMEM;
	if (r->snapshot) {
		v->snapshot_kind = snapshot_kind_name(r->snapshot);
		v->snapshot_key = strdup(r->snapshot->key);
		if (!v->snapshot_key)
			return -ENOMEM;
	}
	if (r->content && !(copy->content = record_content_copy(r->content)))
		return -ENOMEM;
	if (mount) {
		v->mounted_read_only = !mount->writable;
		v->mountpoint = mount_list_path(m, r, false);
		if (!v->mountpoint || id_map_copy(&mount->id_map, &v->mount_id_map) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool is_live(const struct record *r)
{
	return r->state == RECORD_LIVE;
}

/* A list in the making: views, and what the filter is to look at of each of them. */
struct listing {
	struct record_view *views;
	struct record_facts *facts; /* their texts are the views' */
	size_t count;
	int64_t now_ns;
};

static void listing_free(struct listing *l)
{
	record_list_free(l->views, l->count);
	free(l->facts);
}
DEFINE_CLEANUP_VALUE(struct listing, listing_free)

static bool was_used(const struct record_query *q, const struct record_facts *facts, int64_t now_ns)
{
	return q->unused_for_ns && facts->last_used_ns &&
	       facts->last_used_ns > now_ns - q->unused_for_ns;
}

static int add_view(struct manager *m, struct listing *l, const struct record *r,
		    enum record_size size, const struct record_facts *facts)
{
	struct record_view *v = &l->views[l->count];
	struct record_facts *copy = &l->facts[l->count++];
	int code = make_view(m, r, size, v);

	if (code < 0)
		return code;
	*copy = *facts;
	copy->id = v->record.id;
	copy->parent = *v->parent ? v->parent : NULL;
	copy->description = v->record.description;
	copy->type = v->record.type;
	copy->labels = v->record.labels;
	return 0;
}

/* With the lock. A filter that takes long is left to apply_filter(). */
static int view_record(struct manager *m, const struct record *r, const struct record_query *q,
		       const struct record_filter *filter, struct listing *l)
{
	/* What the store takes, or what a record is. */
	enum record_size size = !q->disk_usage	  ? RECORD_SIZE_KNOWN
				: q->id_count > 0 ? RECORD_SIZE_MEASURED
						  : RECORD_SIZE_ON_DISK;
	struct record_facts facts = record_list_facts(m, r, size);

	manager_assert_locked(m);
	facts.shared |= has_several_images(r);
	if (was_used(q, &facts, l->now_ns) ||
	    (record_filter_is_cheap(filter) && !record_facts_match(&facts, filter, l->now_ns)))
		return 0;
	if (add_view(m, l, r, size, &facts) < 0)
		return -ENOMEM;
	if (q->disk_usage)
		(void)history_forecast_of(m, r->layer->name, l->now_ns,
					  &l->views[l->count - 1].expected);
	return 0;
}

/* Those of the records that are still there; each, where the caller named them. The lock is given
 * to others now and then. */
static int view_chosen(struct manager *m, const struct record_choice *choices, size_t count,
		       const struct record_query *q, const struct record_filter *filter,
		       struct listing *l, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (record_refs_mark_shared(locked->graph, m->leases) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	record_refs_mark_in_use(m->graph);
	if (q->disk_usage)
		history_forecast_count_idle(m, l->now_ns); /* as before a plan */
	for (size_t i = 0; i < count; i++) {
		const struct record *r;
		int code = cancellation_check(q->cancelled, e);

		if (code < 0)
			return code;
		if (i % RECORD_SELECT_AT_ONCE == RECORD_SELECT_AT_ONCE - 1)
			manager_yield(locked);
		r = record_graph_find(locked->graph, choices[i].id);
		if ((!r || !is_live(r)) && q->id_count > 0)
			return record_select_refuse_gone(&choices[i], e);
		if (r && is_live(r) && view_record(m, r, q, filter, l) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int view_selected(struct manager *m, const struct record_query *q,
			 const struct record_filter *filter, struct listing *l, struct error *e)
{
	cleanup(free_ptr) struct record_choice *choices = NULL;
	const struct record_selection selection = {
		.ids = q->ids,
		.id_count = q->id_count,
		.included = q->disk_usage ? record_is_listed : is_live,
		.cancelled = q->cancelled,
	};
	size_t count = 0;
	int code = record_select(m, &selection, &choices, &count, e);

	if (code < 0)
		return code;
	l->views = calloc(count + 1, sizeof(*l->views));
	l->facts = calloc(count + 1, sizeof(*l->facts));
	if (!l->views || !l->facts)
		return error_set(e, -ENOMEM, "out of memory");
	return view_chosen(m, choices, count, q, filter, l, e);
}

static void swap_views(struct record_view *a, struct record_view *b)
{
	struct record_view kept = *a;

	*a = *b;
	*b = kept;
}

/* Without the lock: drops the views that do not match. */
static int apply_filter(struct manager *m, struct listing *l, const struct record_filter *filter,
			const atomic_bool *cancelled, struct error *e)
{
	size_t kept = 0;

	manager_assert_unlocked(m);
	for (size_t i = 0; i < l->count; i++) {
		int code = cancellation_check(cancelled, e);

		if (code < 0)
			return code;
		if (!record_facts_match(&l->facts[i], filter, l->now_ns))
			continue;
		/* Swapped, so that the list owns each view once, also when it ends early. */
		swap_views(&l->views[kept++], &l->views[i]);
	}
	for (size_t i = kept; i < l->count; i++)
		free_view(&l->views[i]);
	l->count = kept;
	return 0;
}

/* Brings up to date what the list shows: sizes on disk, or what is known of the mounts. */
static int refresh(struct manager *m, const struct record_query *query, struct error *e)
{
	if (query->disk_usage)
		return layer_sizes_measure(m, query->cancelled, e);
	counter_fold_for_call(m, query->cancelled);
	return 0;
}

int record_list(struct manager *m, const struct record_query *query, struct record_view **ret_views,
		size_t *ret_count, struct error *e)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	cleanup(listing_free) struct listing l = { .count = 0 };
	int code = record_filter_parse(query->filters, query->filter_count, &filter, e);

	if (code < 0)
		return code;
	if (query->unused_for_ns < 0)
		return error_set(e, -EINVAL, "an age limit cannot be negative");
	code = refresh(m, query, e);
	if (code < 0)
		return code;
	l.now_ns = clock_wall_ns();
	code = view_selected(m, query, filter, &l, e);
	if (code < 0)
		return code;
	if (!record_filter_is_cheap(filter))
		code = apply_filter(m, &l, filter, query->cancelled, e);
	if (code < 0)
		return code;
	*ret_count = l.count;
	*ret_views = take_ptr(l.views);
	l.count = 0;
	return 0;
}
