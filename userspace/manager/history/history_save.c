/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_save.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text_copy.h"
#include "manager/history/history_state.h"
#include "prune/forecast_text.h"
#include "store/store_rows.h"

#define KEEP_NS (90 * 24 * 3600 * NS_PER_S)
#define KEEP_ROWS 200000 /* some 32 MiB */
#define TRIM_NS (3600 * NS_PER_S)
/* The table is lost with a crash for as long as this. */
#define SAVE_TABLE_NS (300 * NS_PER_S)
#define MAX_COST_MS INT64_C(31536000000) /* a year */
#define TABLE_KEY "forecast"

static void save_event(struct change_set *c, const struct event *event)
{
	struct history_row row = { .at_ns = event->at_ns,
				   .event = event->event,
				   .layer = event->layer,
				   .identity = event->identity,
				   .below = event->below,
				   .record = event->record,
				   .bytes = event->bytes,
				   .cost_ms = event->cost_ms,
				   .by = event->by,
				   .since_ns = event->since_ns };

	history_rows_add(c, &row);
	if (event->returned)
		history_rows_delete_departed(c, event->identity);
}

static void save_past(struct change_set *c, struct past *p)
{
	struct digest identity = history_state_identity(p);
	struct past_row row = { .layer = p->layer,
				.identity = identity.text,
				.below = p->below,
				.past = p->past,
				.cost_ms = p->cost_ms };

	history_rows_set_past(c, &row);
	p->dirty = false;
}

static void save_table(struct history *h, struct change_set *c, int64_t now_ns)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };

	if (!h->table_changed || now_ns - h->table_saved_ns < SAVE_TABLE_NS)
		return;
	if (forecast_text_write(&h->forecast, &text) < 0)
		return; /* the next fold tries again */
	store_rows_set(c, TABLE_KEY, text.text);
	h->table_changed = false;
	h->table_saved_ns = now_ns;
}

static void forget_old(struct history *h, int64_t before_ns)
{
	struct departed *d;
	size_t at = 0;

	while ((d = hashmap_next(h->departed, &at)))
		if (d->at_ns < before_ns) {
			(void)hashmap_remove(h->departed, d->identity);
			free(d);
			at = 0; /* the table may have been reordered */
		}
}

/* Those that were removed meanwhile have no row any more. */
static void save_pasts(struct history *h, struct change_set *c)
{
	struct past *p;

	for (size_t i = 0; i < h->changed_count; i++) {
		p = hashmap_find(h->pasts, h->changed[i]);
		if (p && p->dirty)
			save_past(c, p);
	}
	h->changed_saved = h->changed_count;
	for (size_t at = 0; h->all_changed && (p = hashmap_next(h->pasts, &at));)
		if (p->dirty)
			save_past(c, p);
	h->all_saved = h->all_changed;
	h->all_changed = false;
}

/* They are to be written again. What was noted stays noted. */
static void keep_pasts(struct history *h)
{
	struct past *p;

	for (size_t i = 0; i < h->changed_saved; i++) {
		p = hashmap_find(h->pasts, h->changed[i]);
		if (p)
			p->dirty = true;
	}
	for (size_t at = 0; h->all_saved && (p = hashmap_next(h->pasts, &at));)
		p->dirty = true;
	h->all_changed |= h->all_saved;
}

static void forget_pasts(struct history *h)
{
	h->changed_count -= h->changed_saved;
	if (h->changed_count > 0) {
		memmove(h->changed, h->changed + h->changed_saved,
			h->changed_count * sizeof(*h->changed));
		return;
	}
	free(h->changed); /* the first fold of a store may have needed much */
	h->changed = NULL;
	h->changed_capacity = 0;
}

void history_save(struct manager *m, struct change_set *c)
{
	struct history *h = m->history;
	int64_t now = clock_wall_ns();

	manager_assert_locked(m);
	if (!h)
		return;
	h->folded_ns = now;
	for (size_t i = 0; i < h->event_count; i++)
		save_event(c, &h->events[i]);
	h->events_saved = h->event_count;
	save_pasts(h, c);
	save_table(h, c, now);
	if (now - h->trimmed_ns < TRIM_NS)
		return;
	h->trimmed_ns = now;
	forget_old(h, now - KEEP_NS);
	history_rows_trim(c, now - KEEP_NS);
	history_rows_limit(c, KEEP_ROWS);
}

void history_save_done(struct manager *m, bool written)
{
	struct history *h = m->history;

	manager_assert_locked(m);
	if (!h)
		return;
	if (written && h->events_saved > 0) {
		h->event_count -= h->events_saved;
		memmove(h->events, h->events + h->events_saved,
			h->event_count * sizeof(*h->events));
	}
	if (written) {
		forget_pasts(h);
	} else {
		keep_pasts(h);
		h->table_changed = true;
		h->table_saved_ns = 0;
	}
	h->events_saved = h->changed_saved = 0;
	h->all_saved = false;
	if (!written || h->events_dropped == 0)
		return;
	manager_report(m, true,
		       "history: %" PRIu64
		       " events are lost: there were too many while the database "
		       "could not be written",
		       h->events_dropped);
	h->events_dropped = 0;
}

/* ---- at start ---- */

struct loading {
	struct history *history;
	int64_t now_ns;
};

/* -1 and other absurd costs of damaged rows are unknown. */
static int64_t cost_of(int64_t cost_ms)
{
	return cost_ms > 0 && cost_ms < MAX_COST_MS ? cost_ms : 0;
}

static int load_past(const struct past_row *row, void *user)
{
	struct loading *load = user;
	struct past *p = history_state_add(load->history, row->layer);

	if (!p)
		return -ENOMEM;
	text_copy(p->below, sizeof(p->below), row->below);
	history_state_set_identity(p, row->identity);
	p->past = row->past;
	p->cost_ms = cost_of(row->cost_ms);
	p->worked_ns = load->now_ns;
	p->finished = *row->identity;
	return 0;
}

static int load_departed(const struct departed_row *row, void *user)
{
	struct loading *load = user;
	struct departed *d = history_state_depart(load->history, row->identity);

	if (!d)
		return -ENOMEM;
	(void)snprintf(d->by, sizeof(d->by), "%s", row->by);
	d->past = row->past;
	d->at_ns = row->at_ns;
	d->cost_ms = cost_of(row->cost_ms);
	return 0;
}

/* Busy time begins at the wall time, so that the times of records that are older than the history
 * can stand for their needs. */
static void begin_forecast(struct history *h, int64_t now_ns)
{
	forecast_init(&h->forecast);
	h->forecast.busy_s = h->forecast.weighed_s = (double)now_ns / NS_PER_S;
	h->forecast.need_wall_ns = now_ns;
	h->table_changed = true;
}

/* The table is older than the newest pasts after a crash, and rows may be damaged. */
static void mend_pasts(struct history *h)
{
	struct departed *d;
	struct past *p;
	size_t at = 0;

	while ((p = hashmap_next(h->pasts, &at))) {
		forecast_past_mend(&h->forecast, &p->past);
		history_state_link(h, p);
	}
	at = 0;
	while ((d = hashmap_next(h->departed, &at)))
		forecast_past_mend(&h->forecast, &d->past);
}

static int load_rows(struct manager *m, struct history *h, struct error *e)
{
	struct loading load = { .history = h, .now_ns = clock_wall_ns() };
	cleanup(free_ptr) char *table = NULL;
	sqlite3 *db = database_lock_reader(m->database);
	int code = history_rows_load_pasts(db, load_past, &load, e);

	if (code == 0)
		code = history_rows_load_departed(db, load_departed, &load, e);
	if (code == 0)
		code = store_rows_find(db, TABLE_KEY, &table, e);
	database_unlock_reader(m->database);
	if (code < 0)
		return code;
	begin_forecast(h, load.now_ns);
	if (table && forecast_text_read(table, &h->forecast) < 0) {
		begin_forecast(h, load.now_ns);
		manager_report(m, true,
			       "what was learned of needs cannot be read: it is learned anew");
	}
	mend_pasts(h);
	return 0;
}

int history_save_load(struct manager *m, struct error *e)
{
	cleanup(history_state_free) struct history *h = calloc(1, sizeof(*h));
	struct record *r;
	size_t at = 0;
	int code;

	if (h)
		h->pasts = hashmap_new_of(offsetof(struct past, layer));
	if (h)
		h->departed = hashmap_new_of(offsetof(struct departed, identity));
	if (!h || !h->pasts || !h->departed ||
	    hashmap_reserve(h->pasts, record_graph_layer_count(m->graph)) < 0)
		return error_set(e, -ENOMEM, "out of memory for the history");
	code = load_rows(m, h, e);
	if (code < 0)
		return code;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	locked->history = take_ptr(h);
	while ((r = record_graph_next(locked->graph, &at)))
		history_recall(locked, r);
	return 0;
}
