/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/trace_replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "prune/forecast.h"
#include "prune/prune_plan.h"

/* The events that need each record: its creation and uses, and those of its descendants. */
struct needs {
	size_t *first; /* by record, and one more: where its events begin in `events` */
	uint32_t *events; /* by number, ascending for each record */
	uint32_t *passed; /* by record: how many of its events are over */
};

/* The state of a record at one moment of the replay. */
struct kept {
	bool present;
	uint64_t asks, uses; /* an ask counts as a use for scorers that count refs */
	int64_t last_ask_ns, last_use_ns;
	double inflation;
	uint32_t in_use; /* the number of the event that uses it, plus 1 */
};

struct replay {
	const struct trace *trace;
	const struct prune_scorer *scorer;
	int64_t limit_bytes;
	struct needs *needs; /* NULL: the evictor does not know the future */
	struct kept *kept; /* by record of the trace */
	struct forecast *forecast; /* NULL: the scorer learns nothing */
	struct forecast_past *pasts; /* by record of the trace */
	uint32_t *places; /* by record: its place among those present; scratch of evict() */
	size_t *present; /* by place: the record */
	struct prune_record *records;
	int64_t bytes;
	double inflation;
	struct trace_replay result;
};

static void replay_free(struct replay *r)
{
	free(r->kept);
	free(r->forecast);
	free(r->pasts);
	free(r->places);
	free(r->present);
	free(r->records);
}
DEFINE_CLEANUP_VALUE(struct replay, replay_free)

static void make(struct replay *r, size_t record, bool again)
{
	const struct trace_record *t = &r->trace->records[record];

	r->kept[record].present = true;
	r->bytes += t->size_bytes;
	if (!again)
		return;
	r->result.recreated_bytes += (double)t->size_bytes;
	r->result.recreated_s += t->cost_s;
}

static struct forecast_past *parent_past(const struct replay *r, size_t record)
{
	size_t parent = r->trace->records[record].parent;

	return parent == TRACE_NO_PARENT ? NULL : &r->pasts[parent];
}

/* What the event teaches. That a record is made is not a read of it, but one of what lies below. */
static void learn(struct replay *r, const struct trace_event *event)
{
	size_t at = event->record;

	if (!r->forecast || event->operation == TRACE_ASK)
		return;
	forecast_advance(r->forecast, event->time_ns);
	if (event->operation == TRACE_CREATE) {
		forecast_made(r->forecast, &r->pasts[at], parent_past(r, at));
		at = r->trace->records[at].parent;
	}
	for (; at != TRACE_NO_PARENT; at = r->trace->records[at].parent)
		forecast_needed(r->forecast, &r->pasts[at]);
}

/* Makes the record and its ancestors where they are missing, and keeps them until the next event.
 */
static void hold_chain(struct replay *r, size_t record, uint32_t event)
{
	for (; record != TRACE_NO_PARENT; record = r->trace->records[record].parent) {
		if (!r->kept[record].present)
			make(r, record, true);
		r->kept[record].in_use = event + 1;
		if (r->needs)
			r->needs->passed[record]++;
	}
}

static void count_event(struct replay *r, const struct trace_event *event)
{
	struct kept *k = &r->kept[event->record];

	k->asks++;
	k->last_ask_ns = event->time_ns + 1; /* 0 means never */
	if (event->operation == TRACE_ASK)
		return;
	k->uses++;
	k->last_use_ns = event->time_ns + 1;
	k->inflation = r->inflation;
}

static void serve(struct replay *r, uint32_t number)
{
	const struct trace_event *event = &r->trace->events[number];
	double bytes = (double)r->trace->records[event->record].size_bytes;

	if (event->operation == TRACE_USE) {
		r->result.uses++;
		r->result.use_bytes += bytes;
		if (r->kept[event->record].present) {
			r->result.hits++;
			r->result.hit_bytes += bytes;
		}
	}
	if (event->operation == TRACE_CREATE)
		make(r, event->record, false);
	if (event->operation != TRACE_ASK)
		hold_chain(r, event->record, number);
	count_event(r, event);
	learn(r, event);
}

/* The number of the next event that needs the record; the number of events when none does. */
static size_t next_need(const struct replay *r, size_t record)
{
	size_t at = r->needs->first[record] + r->needs->passed[record];

	return at < r->needs->first[record + 1] ? r->needs->events[at] : r->trace->event_count;
}

/* How often the record is expected to be needed in each second; with knowledge of the future, in
 * each event. */
static double need_rate(const struct replay *r, size_t record, uint32_t event)
{
	size_t next;

	if (r->forecast)
		return forecast_rate(r->forecast, &r->pasts[record],
				     r->trace->events[event].time_ns);
	if (!r->needs)
		return 0;
	next = next_need(r, record);
	return next < r->trace->event_count ? 1 / (double)(next - event) : 0;
}

/* The record as the planner sees it. With knowledge of the future, the later a record will be
 * needed, the older its last use is said to be. */
static struct prune_record planned(const struct replay *r, size_t record, uint32_t event)
{
	const struct trace_record *t = &r->trace->records[record];
	const struct kept *k = &r->kept[record];
	bool by_refs = r->scorer->uses_refs;
	struct prune_record p = {
		.id = t->id,
		.parent = PRUNE_NO_PARENT,
		.created_ns = (int64_t)record,
		.last_used_ns = by_refs ? k->last_ask_ns : k->last_use_ns,
		.usage_count = by_refs ? k->asks : k->uses,
		.size_bytes = t->size_bytes,
		.inflation = k->inflation,
		.need_rate = need_rate(r, record, event),
		.seconds = t->cost_s,
		.kept_longer = r->forecast && !forecast_has_learned(r->forecast) &&
			       forecast_was_read(&r->pasts[record]),
		.evictable = k->in_use != event + 1,
	};

	if (t->parent != TRACE_NO_PARENT)
		p.parent = r->places[t->parent]; /* a parent is present while its child is */
	if (r->needs)
		p.last_used_ns = (int64_t)(r->trace->event_count - next_need(r, record));
	return p;
}

static int evict(struct replay *r, uint32_t event, struct error *e)
{
	const struct prune_goal goal = { .keep_bytes = r->limit_bytes - r->limit_bytes / 10 };
	cleanup(prune_plan_free) struct prune_plan plan = { 0 };
	size_t count = 0;
	int code;

	for (size_t i = 0; r->forecast && i < r->trace->record_count; i++)
		forecast_count_idle(r->forecast, &r->pasts[i], r->trace->events[event].time_ns);
	for (size_t i = 0; i < r->trace->record_count; i++) {
		if (!r->kept[i].present)
			continue;
		r->places[i] = (uint32_t)count;
		r->present[count] = i;
		r->records[count++] = planned(r, i, event);
	}
	code = prune_plan(r->records, count, &goal, r->scorer, &plan, e);
	if (code < 0)
		return code;
	for (size_t i = 0; i < plan.count; i++) {
		r->kept[r->present[plan.steps[i].record]].present = false;
		if (plan.steps[i].score > r->inflation)
			r->inflation = plan.steps[i].score;
	}
	r->bytes = plan.remaining_bytes;
	r->result.evicted += plan.count;
	return 0;
}

static int replay(const struct trace *t, int64_t limit_bytes, const struct prune_scorer *scorer,
		  struct needs *needs, struct trace_replay *ret_replay, struct error *e)
{
	size_t room = t->record_count + 1;
	cleanup(replay_free) struct replay r = {
		.trace = t,
		.scorer = scorer,
		.limit_bytes = limit_bytes,
		.needs = needs,
		.kept = calloc(room, sizeof(*r.kept)),
		.places = calloc(room, sizeof(*r.places)),
		.present = calloc(room, sizeof(*r.present)),
		.records = calloc(room, sizeof(*r.records)),
	};

	if (scorer->by_blocks && !needs) {
		r.forecast = malloc(sizeof(*r.forecast));
		r.pasts = calloc(room, sizeof(*r.pasts));
		if (!r.forecast || !r.pasts)
			return error_set(e, -ENOMEM, "no memory to forecast %zu records",
					 t->record_count);
		forecast_init(r.forecast);
	}
	if (!r.kept || !r.places || !r.present || !r.records)
		return error_set(e, -ENOMEM, "no memory to replay %zu records", t->record_count);
	for (size_t i = 0; i < t->event_count; i++) {
		int code;

		serve(&r, (uint32_t)i);
		code = r.bytes > limit_bytes ? evict(&r, (uint32_t)i, e) : 0;
		if (code < 0)
			return code;
		if (r.bytes > r.result.most_bytes)
			r.result.most_bytes = r.bytes;
	}
	*ret_replay = r.result;
	return 0;
}

int trace_replay(const struct trace *t, int64_t limit_bytes, const struct prune_scorer *scorer,
		 struct trace_replay *ret_replay, struct error *e)
{
	return replay(t, limit_bytes, scorer, NULL, ret_replay, e);
}

/* ---- knowing the future ---- */

static void needs_free(struct needs *n)
{
	free(n->first);
	free(n->events);
	free(n->passed);
}
DEFINE_CLEANUP_VALUE(struct needs, needs_free)

/* The record that the event needs, with all of its ancestors. */
static size_t needed_first(const struct trace *t, size_t event)
{
	return t->events[event].operation == TRACE_ASK ? TRACE_NO_PARENT : t->events[event].record;
}

/* Before the first event none of the needs is over. */
static void begin_again(const struct trace *t, struct needs *n)
{
	for (size_t i = 0; i < t->record_count; i++)
		n->passed[i] = 0;
}

static int find_needs(const struct trace *t, struct needs *n, struct error *e)
{
	size_t total = 0;

	n->first = calloc(t->record_count + 2, sizeof(*n->first));
	n->passed = calloc(t->record_count + 1, sizeof(*n->passed));
	if (!n->first || !n->passed)
		return error_set(e, -ENOMEM, "no memory for %zu records", t->record_count);
	for (size_t i = 0; i < t->event_count; i++)
		for (size_t at = needed_first(t, i); at != TRACE_NO_PARENT;
		     at = t->records[at].parent)
			n->first[at + 1]++;
	for (size_t i = 0; i < t->record_count; i++)
		n->first[i + 1] += n->first[i];
	total = n->first[t->record_count];

	n->events = calloc(total + 1, sizeof(*n->events));
	if (!n->events)
		return error_set(e, -ENOMEM, "no memory for %zu events", t->event_count);
	for (size_t i = 0; i < t->event_count; i++)
		for (size_t at = needed_first(t, i); at != TRACE_NO_PARENT;
		     at = t->records[at].parent)
			n->events[n->first[at] + n->passed[at]++] = (uint32_t)i;
	begin_again(t, n);
	return 0;
}

/* Less to make again: in seconds, and in bytes where records cost none. */
static bool is_better(const struct trace_replay *a, const struct trace_replay *b)
{
	if (a->recreated_s < b->recreated_s || a->recreated_s > b->recreated_s)
		return a->recreated_s < b->recreated_s;
	return a->recreated_bytes < b->recreated_bytes;
}

int trace_replay_clairvoyant(const struct trace *t, int64_t limit_bytes,
			     struct trace_replay *ret_replay, struct error *e)
{
	static const struct prune_scorer *const scorers[] = { &prune_scorer_lru,
							      &prune_scorer_forecast };
	cleanup(needs_free) struct needs needs = { .first = NULL };
	int code = find_needs(t, &needs, e);

	for (size_t i = 0; i < ARRAY_SIZE(scorers); i++) {
		struct trace_replay other;

		if (code < 0)
			return code;
		begin_again(t, &needs);
		code = replay(t, limit_bytes, scorers[i], &needs, &other, e);
		if (code == 0 && (i == 0 || is_better(&other, ret_replay)))
			*ret_replay = other;
	}
	return code;
}

/* A time between two needs of a record. A record that is kept for that time is not made again. */
struct stay {
	double events; /* its length */
	double bytes;
};

static int compare_stays(const void *a, const void *b)
{
	double x = ((const struct stay *)a)->events, y = ((const struct stay *)b)->events;

	return (x > y) - (x < y);
}

static size_t list_stays(const struct trace *t, const struct needs *n, struct stay *stays)
{
	size_t count = 0;

	for (size_t record = 0; record < t->record_count; record++)
		for (size_t at = n->first[record] + 1; at < n->first[record + 1]; at++)
			stays[count++] = (struct stay){
				.events = (double)(n->events[at] - n->events[at - 1]),
				.bytes = (double)t->records[record].size_bytes,
			};
	return count;
}

int trace_bound(const struct trace *t, int64_t limit_bytes, double *ret_recreated_bytes,
		struct error *e)
{
	cleanup(needs_free) struct needs needs = { .first = NULL };
	double room = (double)limit_bytes * (double)t->event_count, recreated = 0;
	int code = find_needs(t, &needs, e);

	if (code < 0)
		return code;
	cleanup(free_ptr) struct stay *stays =
		calloc(needs.first[t->record_count] + 1, sizeof(*stays));
	if (!stays)
		return error_set(e, -ENOMEM, "no memory for %zu events", t->event_count);

	size_t count = list_stays(t, &needs, stays);
	qsort(stays, count, sizeof(*stays), compare_stays);
	for (size_t i = 0; i < count; i++) {
		double cost = stays[i].events * stays[i].bytes;
		double part = cost <= room ? 1 : room / cost;

		room = part < 1 ? 0 : room - cost;
		recreated += (1 - part) * stays[i].bytes;
	}
	*ret_recreated_bytes = recreated;
	return 0;
}
