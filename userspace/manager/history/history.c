/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/vec.h"
#include "manager/history/history_identity.h"
#include "manager/history/history_state.h"

#define NS_PER_MS (NS_PER_S / 1000)
/* While the database cannot be written, so many events are kept. */
#define EVENTS_MAX 10000

/* ---- layers come ---- */

/* A layer that several records share has the past of the first one. NULL: it has one already, or
 * there is no memory; then the layer is as one without a past. */
static struct past *begin(struct manager *m, const struct record *r, double made_s, bool is_new)
{
	struct past *p, *below;
	struct forecast_past before = { .needs = 0 };

	if (!m->history || history_state_find(m, r->layer->name))
		return NULL;
	p = history_state_add(m->history, r->layer->name);
	if (!p)
		return NULL;
	if (r->parent)
		(void)snprintf(p->below, sizeof(p->below), "%s", r->parent->layer->name);
	history_state_link(m->history, p);
	p->worked_ns = r->created_ns;
	history_state_change(m->history, p);
	below = history_state_below(p);
	if (below)
		before = below->past;
	forecast_made(&m->history->forecast, &p->past, p->past.parent);
	if (!below)
		return p;
	history_state_change(m->history, below);
	below->past.child_s = fmax(before.child_s, made_s);
	if (!is_new) /* what happened since it was made is not known */
		below->past.replacements = before.replacements;
	return p;
}

/* Tells readers of events; with the lock. */
static void tell(struct manager *m, enum event_kind kind, const char *record,
		 const struct layer *layer, const char *by, const char *detail)
{
	struct ring_event event = { .kind = kind,
				    .bytes = layer->size_known ? layer->allocated_bytes : -1 };

	(void)snprintf(event.record, sizeof(event.record), "%s", record);
	(void)snprintf(event.layer, sizeof(event.layer), "%s", layer->name);
	(void)snprintf(event.by, sizeof(event.by), "%s", by);
	(void)snprintf(event.detail, sizeof(event.detail), "%s", detail);
	event_ring_add(m->events, &event);
}

void history_begin(struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	tell(m, EVENT_CREATED, r->id, r->layer, "", r->description);
	if (!m->history)
		return;
	forecast_advance(&m->history->forecast, clock_wall_ns());
	m->history->table_changed = true;
	(void)begin(m, r, m->history->forecast.busy_s, true);
}

void history_undone(struct manager *m, const char *layer)
{
	struct past *p = history_state_find(m, layer);

	manager_assert_locked(m);
	if (!p)
		return;
	history_state_remove(m->history, p);
}

static struct event *add_event(struct history *h, enum history_event event, const char *layer,
			       int64_t at_ns)
{
	struct event *events = NULL, *added;

	if (h->event_count < EVENTS_MAX)
		events = vec_reserve(h->events, &h->event_capacity, h->event_count + 1,
				     sizeof(*events));
	if (!events) {
		h->events_dropped++;
		return NULL;
	}
	h->events = events;
	added = &h->events[h->event_count++];
	*added = (struct event){ .event = event, .at_ns = at_ns };
	(void)snprintf(added->layer, sizeof(added->layer), "%s", layer);
	return added;
}

static void log_made(struct history *h, const struct past *p, const char *record,
		     const struct layer *layer, const struct departed *before)
{
	struct event *event = add_event(h, HISTORY_MADE, p->layer, clock_wall_ns());

	if (!event)
		return;
	memcpy(event->below, p->below, sizeof(event->below));
	(void)snprintf(event->record, sizeof(event->record), "%s", record);
	memcpy(event->identity, history_state_identity(p).text, sizeof(event->identity));
	event->bytes = layer->size_known ? layer->allocated_bytes : 0;
	event->cost_ms = p->cost_ms;
	event->returned = before;
	if (!before || !*before->by)
		return;
	memcpy(event->by, before->by, sizeof(event->by));
	event->since_ns = event->at_ns - before->at_ns;
}

/* Work that was seen in a fold took the time since the fold before. */
static void add_work(struct history *h, struct past *p, int64_t now_ns)
{
	int64_t from = p->worked_ns > h->folded_ns ? p->worked_ns : h->folded_ns;

	if (now_ns > from)
		p->cost_ms += (now_ns - from + NS_PER_MS - 1) / NS_PER_MS;
	p->worked_ns = now_ns;
	history_state_change(h, p);
}

/* What lies below learns whether its children come back. */
static void need(struct history *h, struct past *p)
{
	struct past *below = history_state_below(p);

	forecast_needed(&h->forecast, &p->past);
	history_state_change(h, p);
	if (below)
		history_state_change(h, below);
}

/* Gives the layer the past of the one that was gone. */
static void restore(struct manager *m, struct past *p, struct departed *before)
{
	struct history *h = m->history;
	struct forecast_past made = p->past;

	p->past = before->past;
	p->past.parent = made.parent;
	p->past.child_s = made.child_s;
	p->past.replacements = made.replacements;
	p->past.comebacks = made.comebacks;
	if (p->cost_ms == 0)
		p->cost_ms = before->cost_ms;
	forecast_advance(&h->forecast, clock_wall_ns());
	need(h, p);
	h->table_changed = true;
	(void)hashmap_remove(h->departed, before->identity);
	free(before);
}

/* With the lock. */
static void regret(struct manager *m, const char *record, const struct layer *layer,
		   const struct departed *before)
{
	int64_t since_ns = clock_wall_ns() - before->at_ns;
	char age[UNITS_TEXT_MAX], detail[UNITS_TEXT_MAX + 20];

	(void)snprintf(detail, sizeof(detail), "%s after its eviction",
		       units_format_duration(since_ns / NS_PER_S * NS_PER_S, age));
	tell(m, EVENT_REGRETTED, record, layer, before->by, detail);
	manager_meters_regret(&m->meters, since_ns, layer->size_known ? layer->allocated_bytes : 0);
}

/* The layer has its files. If it was evicted before, it gets its past back. */
static void finish(struct manager *m, struct past *p, const char *record, const struct layer *layer)
{
	struct digest identity = history_state_identity(p);
	struct departed *before =
		p->has_identity ? hashmap_find(m->history->departed, identity.text) : NULL;

	manager_assert_locked(m);
	p->finished = true;
	history_state_change(m->history, p);
	log_made(m->history, p, record, layer, before);
	tell(m, EVENT_COMMITTED, record, layer, "", "");
	if (before && *before->by)
		regret(m, record, layer, before);
	if (before)
		restore(m, p, before);
}

/* A lazy layer is finished when it has got its files. */
static void note_made(struct manager *m, const struct record *r)
{
	struct past *p = history_state_find(m, r->layer->name), *parent;
	char identity[DIGEST_TEXT_SIZE];

	if (!p || p->finished)
		return;
	parent = history_state_below(p);
	history_identity_of(r, parent ? history_state_identity(parent).text : "", identity);
	history_state_set_identity(p, identity);
	history_state_change(m->history, p);
	if (!r->layer->lazy)
		finish(m, p, r->id, r->layer);
}

void history_made(struct manager *m, const struct record *r)
{
	struct past *p = history_state_find(m, r->layer->name);

	manager_assert_locked(m);
	if (p && !p->finished && !r->layer->lazy)
		add_work(m->history, p, clock_wall_ns()); /* finishing it was work, too */
	note_made(m, r);
}

void history_filled(struct manager *m, const struct layer *layer, const char *record,
		    int64_t took_ns)
{
	struct past *p = history_state_find(m, layer->name);

	manager_assert_locked(m);
	if (!p || p->finished)
		return;
	p->cost_ms = (took_ns + NS_PER_MS - 1) / NS_PER_MS;
	finish(m, p, record, layer);
}

/* ---- what layers cost ---- */

void history_worked(struct manager *m, const char *layer, int64_t now_ns)
{
	struct past *p = history_state_find(m, layer);

	manager_assert_locked(m);
	if (p && !p->finished)
		add_work(m->history, p, now_ns);
}

void history_took(struct manager *m, const char *layer, int64_t from_ns, int64_t to_ns)
{
	struct past *p = history_state_find(m, layer);

	manager_assert_locked(m);
	if (!p || p->finished)
		return;
	if (from_ns < p->worked_ns)
		from_ns = p->worked_ns;
	if (to_ns > from_ns)
		p->cost_ms += (to_ns - from_ns + NS_PER_MS - 1) / NS_PER_MS;
	p->worked_ns = to_ns;
	history_state_change(m->history, p);
}

/* ---- needs ---- */

void history_needed(struct manager *m, const char *layer, int64_t now_ns)
{
	struct past *p = history_state_find(m, layer);

	manager_assert_locked(m);
	if (!p)
		return;
	forecast_advance(&m->history->forecast, now_ns);
	if (!forecast_is_news(&m->history->forecast, &p->past))
		return;
	if (forecast_is_new_need(&m->history->forecast, &p->past))
		(void)add_event(m->history, HISTORY_NEEDED, layer, now_ns);
	m->history->table_changed = true;
	/* What lies below was needed with it the last time, too, so that the walk ends early. */
	for (; p && forecast_is_news(&m->history->forecast, &p->past); p = history_state_below(p))
		need(m->history, p);
}

/* ---- layers go ---- */

static void add_departed(const struct past *p, const struct record *r, const char *by,
			 int64_t now_ns, struct change_set *c)
{
	int64_t bytes = r->layer->measured ? r->layer->allocated_bytes : 0;
	const struct digest identity = history_state_identity(p);
	const struct history_row row = { .at_ns = now_ns,
					 .event = by ? HISTORY_EVICTED : HISTORY_REMOVED,
					 .layer = p->layer,
					 .identity = identity.text,
					 .below = p->below,
					 .record = r->id,
					 .bytes = bytes,
					 .cost_ms = p->cost_ms,
					 .by = by ? by : "" };
	const struct departed_row departed = { .identity = identity.text,
					       .past = p->past,
					       .at_ns = now_ns,
					       .bytes = bytes,
					       .cost_ms = p->cost_ms,
					       .by = row.by };

	history_rows_add(c, &row);
	if (p->has_identity)
		history_rows_set_departed(c, &departed);
}

static void depart(struct manager *m, const struct past *p, const char *by, int64_t now_ns)
{
	struct departed *d =
		p->has_identity ? history_state_depart(m->history, history_state_identity(p).text)
				: NULL;

	if (!d)
		return;
	(void)snprintf(d->by, sizeof(d->by), "%s", by ? by : "");
	d->past = p->past;
	d->past.parent = NULL;
	d->at_ns = now_ns;
	d->cost_ms = p->cost_ms;
}

void history_departing(struct manager *m, const struct record *r, const char *by, int64_t now_ns,
		       struct change_set *c)
{
	const struct past *p = history_state_find(m, r->layer->name);

	manager_assert_locked(m);
	if (!p)
		return;
	add_departed(p, r, by, now_ns, c);
	history_rows_delete_past(c, p->layer);
}

void history_departed(struct manager *m, const char *layer, const char *by, int64_t now_ns)
{
	struct past *p = history_state_find(m, layer);

	manager_assert_locked(m);
	if (!p)
		return;
	depart(m, p, by, now_ns);
	history_state_remove(m->history, p);
}

void history_falling_back(struct manager *m, const struct record *r, const char *by, int64_t now_ns,
			  struct change_set *c)
{
	const struct past *p = history_state_find(m, r->layer->name);

	manager_assert_locked(m);
	if (p)
		add_departed(p, r, by, now_ns, c);
}

void history_fell_back(struct manager *m, const char *layer, const char *by, int64_t now_ns)
{
	struct past *p = history_state_find(m, layer);

	manager_assert_locked(m);
	if (!p)
		return;
	depart(m, p, by, now_ns);
	p->finished = false;
}

/* ---- records that are older than the history ---- */

/* The past of a record that is older than the history, from what its row has. */
static void guess_past(struct manager *m, const struct record *r)
{
	double created_s = (double)r->created_ns / NS_PER_S;
	double last_s = (double)record_last_used_ns(r) / NS_PER_S;
	double now_s = m->history->forecast.busy_s;
	uint64_t uses = record_usage_count(r);
	struct past *p = begin(m, r, fmin(created_s, now_s), false);

	if (!p || created_s > now_s) /* the clock was set back */
		return;
	p->past.first_s = p->past.last_s = created_s;
	p->past.counted_s = now_s; /* nothing is known of its idle time */
	if (uses == 0 || last_s <= created_s || last_s > now_s)
		return;
	p->past.needs = 1 + (uint32_t)(uses < UINT16_MAX ? uses : UINT16_MAX);
	p->past.last_s = last_s;
	p->past.mean_log_gap = (float)log((last_s - created_s) / (double)uses + 1);
}

/* Parents first: a child's past begins with a look at its parent. Chains are at most 500 deep. */
void history_recall(struct manager *m, const struct record *r)
{
	struct past *p = history_state_find(m, r->layer->name);

	manager_assert_locked(m);
	if (p && r->layer->lazy)
		p->finished = false;
	if (p)
		return;
	if (r->parent)
		history_recall(m, r->parent);
	guess_past(m, r);
	if (!r->is_mutable)
		note_made(m, r);
}
