/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/numbers/live_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "manager/records/record_list.h"
#include "manager/state/manager_state.h"
#include "manager/state/recent_reads.h"

/* ---- filtering ---- */

void live_matches_free(struct live_matches *matches)
{
	record_filter_free(matches->filter);
	hashmap_free(matches->ids);
	record_list_free(matches->views, matches->view_count);
	*matches = (struct live_matches){ 0 };
}

/* A listing looks at copies of the records, without the lock. */
static int list_matches(struct manager *m, const struct live_query *q, struct live_matches *matches,
			struct error *e)
{
	const struct record_query query = { .filters = q->filters,
					    .filter_count = q->filter_count,
					    .cancelled = q->cancelled };
	int code = record_list(m, &query, &matches->views, &matches->view_count, e);

	if (code < 0)
		return code;
	matches->ids = hashmap_new();
	if (!matches->ids)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < matches->view_count; i++) {
		struct record_view *v = &matches->views[i];

		code = hashmap_insert(matches->ids, v->record.id, v);
		if (code < 0)
			return error_set(e, code, "out of memory");
	}
	return 0;
}

int live_matches_find(struct manager *m, const struct live_query *q,
		      struct live_matches *ret_matches, struct error *e)
{
	cleanup(live_matches_free) struct live_matches matches = { 0 };
	int code = record_filter_parse(q->filters, q->filter_count, &matches.filter, e);

	if (code == 0 && q->id_count == 0 && !record_filter_is_cheap(matches.filter))
		code = list_matches(m, q, &matches, e);
	if (code < 0)
		return code;
	*ret_matches = matches;
	matches = (struct live_matches){ 0 };
	return 0;
}

static bool is_match(const struct manager *m, const struct live_matches *matches,
		     const struct record *r, int64_t now_ns)
{
	struct record_facts facts;

	if (matches->ids)
		return hashmap_find(matches->ids, r->id) != NULL;
	facts = record_list_facts(m, r, RECORD_SIZE_KNOWN);
	return record_facts_match(&facts, matches->filter, now_ns);
}

/* ---- ordering ---- */

/* By key, then by the second key, then by id: equal ones do not change places. */
struct candidate {
	double key, second;
	const struct record *record;
};

static double sum_of(const struct recent_read *read)
{
	double sum = 0;

	for (size_t i = 0; i < RECENT_READS_SLOTS; i++)
		sum += read->kib[i];
	return sum;
}

static struct candidate make_candidate(const struct manager *m, const struct record *r,
				       enum live_sort sort, int64_t now_ns)
{
	const struct layer *l = r->layer;
	struct candidate c = { .record = r, .second = (double)l->access.last_ns };
	struct recent_read recent;

	switch (sort) {
	case LIVE_SORT_RATE:
		if (recent_reads_find(m->recent_reads, l->name, now_ns, &recent)) {
			c.key = recent.bytes_per_s;
			/* Above all that were read before these minutes. */
			c.second = 1e19 + sum_of(&recent);
		}
		break;
	case LIVE_SORT_OPENS:
		(void)recent_reads_find(m->recent_reads, l->name, now_ns, &recent);
		c.key = recent.opens_per_s;
		break;
	case LIVE_SORT_SIZE:
		c.key = (double)record_list_facts(m, r, RECORD_SIZE_KNOWN).size_bytes;
		break;
	case LIVE_SORT_READ:
		c.key = (double)layer_counter(l, USAGE_READ_BYTES);
		break;
	case LIVE_SORT_LAST:
		c.key = c.second;
		break;
	case LIVE_SORT_USES:
		c.key = (double)record_usage_count(r);
		break;
	case LIVE_SORT_CREATED:
	case LIVE_SORT_COUNT:
		c.key = (double)r->created_ns;
		break;
	}
	return c;
}

/* Negative: `a` is shown before `b`. */
static int compare(const struct candidate *a, const struct candidate *b)
{
	if (a->key != b->key)
		return a->key > b->key ? -1 : 1;
	if (a->second != b->second)
		return a->second > b->second ? -1 : 1;
	return strcmp(a->record->id, b->record->id);
}

static int compare_for_sort(const void *a, const void *b)
{
	return compare(a, b);
}

/* The candidates that are kept, as a heap: the last of them is at the top. */
struct heap {
	struct candidate *items;
	size_t count, limit;
};

static void sink(struct heap *h)
{
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;
		struct candidate kept;

		if (child >= h->count)
			return;
		if (child + 1 < h->count && compare(&h->items[child + 1], &h->items[child]) > 0)
			child++;
		if (compare(&h->items[child], &h->items[at]) <= 0)
			return;
		kept = h->items[at];
		h->items[at] = h->items[child];
		h->items[child] = kept;
		at = child;
	}
}

static void rise(struct heap *h)
{
	size_t at = h->count - 1;

	while (at > 0 && compare(&h->items[at], &h->items[(at - 1) / 2]) > 0) {
		struct candidate kept = h->items[at];

		h->items[at] = h->items[(at - 1) / 2];
		h->items[(at - 1) / 2] = kept;
		at = (at - 1) / 2;
	}
}

static void offer(struct heap *h, const struct candidate *c)
{
	if (h->count < h->limit) {
		h->items[h->count++] = *c;
		rise(h);
	} else if (h->limit > 0 && compare(c, &h->items[0]) < 0) {
		h->items[0] = *c;
		sink(h);
	}
}

/* The first of the layer's records that are listed. */
static bool stands_for_layer(const struct record *r)
{
	for (const struct record *o = r->layer->first_owner; o; o = o->next_owner)
		if (record_is_listed(o))
			return o == r;
	return false;
}

int live_order_take(struct manager *m, const struct live_query *q,
		    const struct live_matches *matches, struct live_order *ret_order)
{
	struct live_order order = { 0 };
	struct heap heap = { .limit = q->skip + q->limit };
	int64_t wall_ns = clock_wall_ns(), boot_ns = clock_boot_ns();
	const struct record *r;

	manager_assert_locked(m);
	cleanup(free_ptr) struct candidate *items = calloc(heap.limit + 1, sizeof(*items));
	order.records = calloc(q->limit + 1, sizeof(struct record *));
	if (!items || !order.records) {
		live_order_free(&order);
		return -ENOMEM;
	}
	heap.items = items;
	for (size_t at = 0; (r = record_graph_next(m->graph, &at));) {
		struct candidate c;

		if (!record_is_listed(r) || (q->layers && !stands_for_layer(r)) ||
		    !is_match(m, matches, r, wall_ns))
			continue;
		order.matching++;
		c = make_candidate(m, r, q->sort, boot_ns);
		if (q->reverse) {
			c.key = -c.key;
			c.second = -c.second;
		}
		offer(&heap, &c);
	}
	qsort(items, heap.count, sizeof(*items), compare_for_sort);
	for (size_t i = q->skip; i < heap.count; i++)
		order.records[order.count++] = items[i].record;
	*ret_order = order;
	return 0;
}

void live_order_free(struct live_order *order)
{
	free(order->records);
	*order = (struct live_order){ 0 };
}
