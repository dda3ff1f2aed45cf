/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/vec.h"
#include "manager/mounts/counter_fold.h"
#include "manager/state/manager_state.h"

#define DAY_NS (24 * 3600 * NS_PER_S)

#define PAGE 500 /* events that are read at once */

/* ---- events ---- */

struct page {
	struct history_view *events;
	size_t count;
};

static int add_event(const struct history_row *row, void *user)
{
	struct page *page = user;
	struct history_view *v = &page->events[page->count++];

	*v = (struct history_view){ .seq = row->seq,
				    .at_ns = row->at_ns,
				    .event = row->event,
				    .bytes = row->bytes,
				    .cost_ms = row->cost_ms,
				    .since_ns = row->since_ns };
	(void)snprintf(v->layer, sizeof(v->layer), "%s", row->layer);
	(void)snprintf(v->below, sizeof(v->below), "%s", row->below);
	(void)snprintf(v->record, sizeof(v->record), "%s", row->record);
	(void)snprintf(v->identity, sizeof(v->identity), "%s", row->identity);
	(void)snprintf(v->by, sizeof(v->by), "%s", row->by);
	return 0;
}

static int find_layer(struct manager *m, const char *id, char ret_layer[LAYER_NAME_LENGTH + 1],
		      struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = record_graph_resolve(locked->graph, id, &r, e);

	if (code == 0)
		memcpy(ret_layer, r->layer->name, sizeof(r->layer->name));
	return code;
}

static int read_page(struct manager *m, int64_t after_ns, int64_t after_seq, struct page *page,
		     struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code;

	page->count = 0;
	code = history_rows_load(db, after_ns, after_seq, PAGE, add_event, page, e);
	database_unlock_reader(m->database);
	return code;
}

int eviction_history(struct manager *m, const struct history_query *query,
		     int (*visit)(const struct history_view *event, void *user), void *user,
		     struct error *e)
{
	cleanup(free_ptr) struct history_view *events = calloc(PAGE, sizeof(*events));
	struct page page = { .events = events };
	char layer[LAYER_NAME_LENGTH + 1] = "";
	int64_t after_ns = query->since_ns, after_seq = 0;
	int code;

	manager_assert_unlocked(m);
	if (!events)
		return error_set(e, -ENOMEM, "out of memory");
	counter_fold_for_call(m, query->cancelled);
	code = *query->id ? find_layer(m, query->id, layer, e) : 0;
	do {
		if (code == 0)
			code = cancellation_check(query->cancelled, e);
		if (code == 0)
			code = read_page(m, after_ns, after_seq, &page, e);
		for (size_t i = 0; code == 0 && i < page.count; i++)
			if (!*layer || strcmp(events[i].layer, layer) == 0)
				code = visit(&events[i], user);
		if (code < 0)
			return code;
		if (page.count > 0) {
			after_ns = events[page.count - 1].at_ns;
			after_seq = events[page.count - 1].seq;
		}
	} while (page.count == PAGE);
	return 0;
}

/* ---- regrets ---- */

struct regrets {
	struct history_regret *items;
	size_t count, capacity;
	int64_t since_ns;
};

static struct history_regret *find_regret(struct regrets *all, const char *by)
{
	struct history_regret *items, *added;

	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->items[i].by, by) == 0)
			return &all->items[i];
	items = vec_reserve(all->items, &all->capacity, all->count + 1, sizeof(*items));
	if (!items)
		return NULL;
	all->items = items;
	added = &all->items[all->count++];
	*added = (struct history_regret){ 0 };
	(void)snprintf(added->by, sizeof(added->by), "%s", by);
	return added;
}

static void regret(struct history_regretted *r, const struct history_view *row)
{
	r->layers++;
	r->bytes += row->bytes;
	r->cost_ms += row->cost_ms;
}

static int add_regret(const struct history_view *row, void *user)
{
	struct regrets *all = user;
	struct history_regret *r;

	if (!all->since_ns)
		all->since_ns = row->at_ns;
	if (!*row->by)
		return 0;
	r = find_regret(all, row->by);
	if (!r)
		return -ENOMEM;
	if (row->event == HISTORY_EVICTED) {
		r->evicted++;
		r->evicted_bytes += row->bytes;
	} else if (row->event == HISTORY_MADE) {
		if (row->since_ns <= DAY_NS)
			regret(&r->day, row);
		if (row->since_ns <= 7 * DAY_NS)
			regret(&r->week, row);
	}
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	int64_t x = ((const struct history_regret *)a)->evicted_bytes;
	int64_t y = ((const struct history_regret *)b)->evicted_bytes;

	return (x < y) - (x > y);
}

int eviction_history_regrets(struct manager *m, const atomic_bool *cancelled,
			     struct history_regret **ret_regrets, size_t *ret_count,
			     int64_t *ret_since_ns, struct error *e)
{
	const struct history_query everything = { .id = "", .cancelled = cancelled };
	struct regrets all = { 0 };
	int code = eviction_history(m, &everything, add_regret, &all, e);

	if (code < 0) {
		free(all.items);
		return code;
	}
	if (all.count > 0)
		qsort(all.items, all.count, sizeof(*all.items), by_bytes);
	*ret_regrets = all.items;
	*ret_count = all.count;
	*ret_since_ns = all.since_ns;
	return 0;
}
