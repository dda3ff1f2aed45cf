/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/records/record_page.h"

#include <errno.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "manager/records/record_select.h"

struct key {
	const char *id; /* the choice's */
	int64_t value;
	size_t place; /* by creation */
};

struct keys {
	struct record_choice *choices;
	struct key *items;
	size_t count;
};

static void keys_free(struct keys *k)
{
	free(k->choices);
	free(k->items);
}
DEFINE_CLEANUP_VALUE(struct keys, keys_free)

static int64_t value_of(const struct record_facts *f, enum record_order order)
{
	switch (order) {
	case RECORD_ORDER_SIZE:
		return f->size_bytes;
	case RECORD_ORDER_LAST_USED:
		return f->last_used_ns;
	case RECORD_ORDER_LAST_READ:
		return f->last_read_ns;
	case RECORD_ORDER_USES:
		return (int64_t)f->usage_count;
	default:
		return f->created_ns;
	}
}

/* With the lock, which is given to others now and then. The filter is cheap, or NULL. */
static int collect(struct manager *m, const struct record_page_query *q,
		   const struct record_filter *filter, size_t count, struct keys *k,
		   struct error *e)
{
	int64_t now_ns = clock_wall_ns();
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (record_refs_mark_shared(locked->graph, m->leases) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	record_refs_mark_in_use(m->graph);
	for (size_t i = 0; i < count; i++) {
		const struct record *r;
		struct record_facts facts;
		int code = cancellation_check(q->cancelled, e);

		if (code < 0)
			return code;
		if (i % RECORD_SELECT_AT_ONCE == RECORD_SELECT_AT_ONCE - 1)
			manager_yield(locked);
		r = record_graph_find(locked->graph, k->choices[i].id);
		if (!r || r->state != RECORD_LIVE)
			continue;
		facts = record_list_facts(m, r, RECORD_SIZE_KNOWN);
		if (filter && !record_facts_match(&facts, filter, now_ns))
			continue;
		k->items[k->count++] =
			(struct key){ k->choices[i].id, value_of(&facts, q->order), i };
	}
	return 0;
}

/* A filter that takes long looks at copies. */
static int collect_copies(struct manager *m, const struct record_page_query *q, struct keys *k,
			  struct error *e)
{
	const struct record_query all = { .filters = &q->filter,
					  .filter_count = 1,
					  .cancelled = q->cancelled };
	struct record_view *views = NULL;
	size_t count = 0;
	int code = record_list(m, &all, &views, &count, e);

	if (code < 0)
		return code;
	k->choices = calloc(count + 1, sizeof(*k->choices));
	k->items = calloc(count + 1, sizeof(*k->items));
	for (size_t i = 0; k->choices && k->items && i < count; i++) {
		struct record *r = &views[i].record;
		struct record_facts facts = { .size_bytes = views[i].size_bytes,
					      .created_ns = r->created_ns };

		r->layer = &views[i].layer;
		facts.last_used_ns = record_last_used_ns(r);
		facts.last_read_ns = r->layer->access.last_ns;
		facts.usage_count = record_usage_count(r);
		memcpy(k->choices[i].id, r->id, sizeof(k->choices[i].id));
		k->items[k->count++] =
			(struct key){ k->choices[i].id, value_of(&facts, q->order), i };
		r->layer = NULL;
	}
	code = k->choices && k->items ? 0 : error_set(e, -ENOMEM, "out of memory");
	record_list_free(views, count);
	return code;
}

static bool is_listed(const struct record *r)
{
	return r->state == RECORD_LIVE;
}

static int find_keys(struct manager *m, const struct record_page_query *q, struct keys *k,
		     struct error *e)
{
	const struct record_selection all = { .included = is_listed, .cancelled = q->cancelled };
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	size_t count = 0;
	int code = *q->filter ? record_filter_parse(&q->filter, 1, &filter, e) : 0;

	if (code < 0)
		return code;
	if (filter && !record_filter_is_cheap(filter))
		return collect_copies(m, q, k, e);
	code = record_select(m, &all, &k->choices, &count, e);
	if (code < 0)
		return code;
	k->items = calloc(count + 1, sizeof(*k->items));
	if (!k->items)
		return error_set(e, -ENOMEM, "out of memory");
	return collect(m, q, filter, count, k, e);
}

static int ascending(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

static int descending(const void *a, const void *b)
{
	return ascending(b, a);
}

/* -ENOENT: one of them is gone. */
static int view_part(struct manager *m, const struct record_page_query *q, const struct keys *k,
		     struct record_page *page, struct error *e)
{
	size_t left = k->count > q->offset ? k->count - q->offset : 0;
	size_t count = left < q->limit ? left : q->limit;
	cleanup(free_ptr) const char **ids = calloc(count + 1, sizeof(*ids));
	struct record_query part = { .id_count = count, .cancelled = q->cancelled };

	page->total = k->count;
	if (!ids)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		ids[i] = k->items[q->offset + i].id;
	part.ids = ids;
	return count > 0 ? record_list(m, &part, &page->views, &page->count, e) : 0;
}

int record_page_get(struct manager *m, const struct record_page_query *q,
		    struct record_page *ret_page, struct error *e)
{
	int code = -ENOENT;

	/* A record that is removed meanwhile only shortens the list. */
	for (int i = 0; code == -ENOENT && i < 5; i++) {
		cleanup(keys_free) struct keys k = { 0 };

		*ret_page = (struct record_page){ 0 };
		code = find_keys(m, q, &k, e);
		if (code < 0)
			return code;
		if (k.items)
			qsort(k.items, k.count, sizeof(*k.items),
			      q->ascending ? ascending : descending);
		code = view_part(m, q, &k, ret_page, e);
	}
	return code;
}

void record_page_free(struct record_page *page)
{
	record_list_free(page->views, page->count);
}
