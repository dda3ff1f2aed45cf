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
};

static struct history_regretted copy_regretted(const struct regretted_row *row)
{
	return (struct history_regretted){ .layers = (uint64_t)row->layers,
					   .bytes = row->bytes,
					   .cost_ms = row->cost_ms };
}

static int add_regret(const struct regret_row *row, void *user)
{
	struct regrets *all = user;
	struct history_regret *items =
		vec_reserve(all->items, &all->capacity, all->count + 1, sizeof(*items));
	struct history_regret *added;

	if (!items)
		return -ENOMEM;
	all->items = items;
	added = &all->items[all->count++];
	*added = (struct history_regret){ .evicted = (uint64_t)row->evicted,
					  .evicted_bytes = row->evicted_bytes,
					  .day = copy_regretted(&row->day),
					  .week = copy_regretted(&row->week) };
	(void)snprintf(added->by, sizeof(added->by), "%s", row->by);
	return 0;
}

int eviction_history_regrets(struct manager *m, bool as_written, const atomic_bool *cancelled,
			     struct history_regret **ret_regrets, size_t *ret_count,
			     int64_t *ret_since_ns, struct error *e)
{
	struct regrets all = { 0 };
	sqlite3 *db;
	int code;

	manager_assert_unlocked(m);
	if (!as_written)
		counter_fold_for_call(m, cancelled);
	db = database_lock_reader(m->database);
	code = history_rows_load_regrets(db, add_regret, &all, e);
	if (code == 0)
		code = history_rows_find_begin(db, ret_since_ns, e);
	database_unlock_reader(m->database);
	if (code < 0) {
		free(all.items);
		return code;
	}
	*ret_regrets = all.items;
	*ret_count = all.count;
	return 0;
}
