/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan is made from a copy of the graph. Each step is checked again under the lock before it is
 * taken, so that a record that has come into use meanwhile stays. The steps of a batch share one
 * durable transaction.
 */
#include "manager/history/history.h"
#include "manager/eviction/eviction_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_lazy.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/eviction/eviction_plans.h"
#include "manager/eviction/eviction_steps.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/mount_elsewhere.h"
#include "manager/records/layer_sizes.h"
#include "manager/records/record_delete.h"
#include "manager/state/manager_state.h"
#include "manager/state/trash.h"

/* Few enough that a cancelled call ends soon. */
#define STEPS_AT_ONCE 32

struct prune_run {
	struct manager *m;
	const atomic_bool *cancelled;
	bool dry_run;
	int (*pruned)(const struct evicted_record *record, void *user);
	void *user;
	int64_t kept_bytes, kept_inodes; /* of planned records that have come into use meanwhile */
	const char *by; /* of the steps */
	const char *plan; /* that is executed, or "" */
	enum meter_reason reason;
};

/* Steps that are taken together. */
struct batch {
	struct manager *m;
	bool reserved; /* the records are, until the batch ends or they are deleted */
	struct record *records[STEPS_AT_ONCE];
	struct evicted_record pruned[STEPS_AT_ONCE];
	char *texts[STEPS_AT_ONCE]; /* of `pruned`, which outlives the record */
	char reasons[STEPS_AT_ONCE][EVICTION_STEPS_TEXT + 20];
	size_t count;
};

static void batch_end(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->texts[i]);
	if (!b->reserved)
		return;
	cleanup(manager_unlock) struct manager *locked = manager_lock(b->m);
	for (size_t i = 0; i < b->count; i++)
		manager_unreserve(locked, b->records[i]);
}
DEFINE_CLEANUP_VALUE(struct batch, batch_end)

/* A record is evicted with its twin. */
static bool is_in_batch(const struct batch *b, const struct record *r)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->records[i] == r || b->records[i]->twin == r)
			return true;
	return false;
}

/* Whether the record is still as it was when it was planned. With the lock. */
static bool may_go(struct manager *m, const struct batch *b, const struct record *r,
		   const struct eviction_planned *p)
{
	manager_assert_locked(m);
	if (!r || !eviction_candidates_is_free(r) ||
	    eviction_candidates_fingerprint(r) != p->fingerprint)
		return false;
	if (p->record.cheap)
		return content_lazy_may_fall_back(m, r);
	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		if (!is_in_batch(b, c))
			return false;
	return true;
}

/* With the lock. */
static int describe(const struct record *r, const struct eviction_planned *planned, struct batch *b)
{
	struct evicted_record *p = &b->pruned[b->count];
	char **text = &b->texts[b->count], *reason = b->reasons[b->count];
	int used;

	manager_assert_some_locked();
	*p = (struct evicted_record){ .size_bytes = planned->record.size_bytes,
				      .created_ns = planned->record.created_ns,
				      .last_used_ns = planned->record.last_used_ns,
				      .usage_count = planned->record.usage_count,
				      .shared = planned->record.shared,
				      .score = planned->step.score,
				      .is_mutable = r->is_mutable,
				      .to_lazy = planned->record.cheap,
				      .reason = b->reasons[b->count] };
	memcpy(p->id, r->id, sizeof(p->id));
	if (r->parent)
		memcpy(p->parent, r->parent->id, sizeof(p->parent));
	if (asprintf(text, "%s%c%s", r->description, 0, r->type) < 0) {
		*text = NULL;
		return -ENOMEM;
	}
	p->description = *text;
	p->type = *text + strlen(*text) + 1;
	used = planned->record.cheap ? snprintf(reason, sizeof(b->reasons[0]), "files only; ") : 0;
	eviction_steps_explain(planned, reason + used);
	return 0;
}

static void note_kept(struct prune_run *run, const struct prune_record *record)
{
	if (record->shared)
		return;
	run->kept_bytes += record->size_bytes;
	run->kept_inodes += record->inodes;
}

/* Reserves the records that may still be evicted. */
static int fill_batch(struct prune_run *run, const struct eviction_planned *planned, size_t count,
		      struct batch *b)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(run->m);

	b->reserved = !run->dry_run;
	for (size_t i = 0; i < count; i++) {
		struct record *r = record_graph_find(locked->graph, planned[i].id);

		if (!r || (!run->dry_run && !may_go(locked, b, r, &planned[i]))) {
			note_kept(run, &planned[i].record);
			continue;
		}
		if (describe(r, &planned[i], b) < 0)
			return -ENOMEM;
		if (!run->dry_run)
			manager_reserve(r);
		b->records[b->count++] = r;
	}
	return 0;
}

static void tell_evicted(const struct prune_run *run, const struct evicted_record *evicted)
{
	struct ring_event event = { .kind = EVENT_EVICTED, .bytes = evicted->size_bytes };

	memcpy(event.record, evicted->id, sizeof(event.record));
	(void)snprintf(event.by, sizeof(event.by), "%s", run->by);
	(void)snprintf(event.plan, sizeof(event.plan), "%s", run->plan);
	(void)snprintf(event.detail, sizeof(event.detail), "%s", evicted->reason);
	event_ring_add(run->m->events, &event);
	manager_meters_pruned(&run->m->meters, evicted->type, run->reason, evicted->size_bytes);
}

static int evict_batch(struct prune_run *run, struct batch *b, bool to_lazy, struct error *e)
{
	int code;

	if (run->dry_run || b->count == 0)
		return 0;
	code = to_lazy ? content_lazy_fall_back(run->m, b->records, b->count, run->by, e)
		       : record_delete_evicted(run->m, b->records, b->count, run->by, e);
	if (code < 0)
		return code;
	b->reserved = false;
	for (size_t i = 0; i < b->count; i++)
		tell_evicted(run, &b->pruned[i]);
	return 0;
}

static int take_steps(struct prune_run *run, const struct eviction_planned *planned, size_t count,
		      struct error *e)
{
	cleanup(batch_end) struct batch b = { .m = run->m };
	int code;

	if (run->cancelled && atomic_load(run->cancelled))
		return error_set(e, -ECANCELED, "prune was cancelled");
	if (fill_batch(run, planned, count, &b) < 0)
		return error_set(e, -ENOMEM, "prune: out of memory");
	if (evict_batch(run, &b, planned->record.cheap, e) < 0)
		return error_context(e, "prune");
	for (size_t i = 0; i < b.count; i++) {
		code = run->pruned(&b.pruned[i], run->user);
		if (code < 0)
			return code;
	}
	return 0;
}

/* How many of the steps make a batch: deletions, or one step that makes a record lazy again, which
 * depends on those before it. */
static size_t steps_at_once(const struct eviction_planned *planned, size_t left)
{
	size_t count = 0;

	while (count < left && count < STEPS_AT_ONCE && !planned[count].record.cheap)
		count++;
	return count ? count : 1;
}

static int take_all(struct prune_run *run, const struct eviction_steps *steps, struct error *e)
{
	size_t at = 0;

	run->by = steps->by;
	while (at < steps->count) {
		size_t count = steps_at_once(&steps->items[at], steps->count - at);
		int code = take_steps(run, &steps->items[at], count, e);

		if (code < 0)
			return code;
		at += count;
	}
	return 0;
}

/* ---- the summary ---- */

static void add_reason(char *text, size_t size, int64_t bytes, const char *why)
{
	char amount[UNITS_TEXT_MAX];
	size_t used = strlen(text);

	if (bytes > 0 && used < size)
		(void)snprintf(text + used, size - used, "%s%s %s", used ? ", " : "",
			       units_format_size(bytes, amount), why);
}

static void explain_shortfall(const struct eviction_candidates *v, const struct prune_run *run,
			      struct eviction_summary *s)
{
	char amount[UNITS_TEXT_MAX], reasons[200] = "";

	for (int keep = PRUNE_KEEP_NOT + 1; keep < PRUNE_KEEP_COUNT; keep++)
		add_reason(reasons, sizeof(reasons), v->kept_bytes[keep],
			   prune_keep_reason((enum prune_keep)keep));
	add_reason(reasons, sizeof(reasons), run->kept_bytes, "in use since the plan was made");
	(void)snprintf(s->shortfall, sizeof(s->shortfall), "%s over the limit remain: %s",
		       units_format_size(s->missed_bytes, amount),
		       *reasons ? reasons : "all of it lies below records that are kept");
}

static void summarize(const struct eviction_candidates *v, const struct prune_run *run,
		      const struct eviction_steps *steps, const struct prune_goal *goal,
		      struct eviction_summary *s)
{
	int64_t missed_inodes = goal->free_inodes - (steps->freed_inodes - run->kept_inodes);

	s->predicted_bytes = steps->freed_bytes;
	s->remaining_bytes = steps->remaining_bytes + run->kept_bytes;
	s->goal_reached = goal->keep_bytes == 0 ||
			  (s->remaining_bytes < goal->keep_bytes && missed_inodes <= 0);
	if (s->goal_reached)
		return;
	if (s->remaining_bytes < goal->keep_bytes) {
		(void)snprintf(s->shortfall, sizeof(s->shortfall),
			       "%" PRId64 " inodes more should be free: the records that have them "
			       "are kept",
			       missed_inodes);
		return;
	}
	s->missed_bytes = s->remaining_bytes - goal->keep_bytes + 1;
	explain_shortfall(v, run, s);
}

/* ---- the calls ---- */

/* Blobs that only the evicted records needed; those that cannot be removed now are removed later.
 */
static void collect_blobs(struct manager *m)
{
	struct error late = { 0 };

	if (content_blobs_collect(m, 0, &late) < 0)
		manager_report(m, true, "%s; it will be tried again", late.text);
}

/* What was deleted before must not be counted as freed by this prune. */
static int64_t begin_counting(struct manager *m)
{
	trash_drain(m);
	return atomic_load(&m->freed_bytes);
}

/* What our own deletions freed, whatever others write to or delete from the file system. */
static int64_t finish_deletions(struct manager *m)
{
	collect_blobs(m);
	trash_drain(m);
	return atomic_load(&m->freed_bytes);
}

static int prune_locked(struct prune_run *run, const struct eviction_options *o,
			struct eviction_summary *s, struct error *e)
{
	cleanup(eviction_candidates_free) struct eviction_candidates candidates = { 0 };
	cleanup(eviction_steps_free) struct eviction_steps steps = { 0 };
	struct prune_goal goal = { 0 };
	int code = layer_sizes_measure(run->m, o->cancelled, e);
	int64_t freed_before;

	if (code < 0)
		return code;
	code = eviction_steps_plan(run->m, o, &candidates, &steps, &goal, e);
	if (code < 0)
		return code;
	code = o->dry_run && !o->forget_plan ? eviction_plans_keep(run->m, &steps, s->plan, e) : 0;
	if (code < 0)
		return code;
	freed_before = begin_counting(run->m);
	code = take_all(run, &steps, e);
	if (!o->dry_run)
		s->freed_bytes = finish_deletions(run->m) - freed_before;
	summarize(&candidates, run, &steps, &goal, s);
	return code;
}

/* Whether everything on top of the record is among the steps before it. With the lock. */
static bool is_bare(const struct hashmap *before, const struct record *r, bool falls_back)
{
	manager_assert_some_locked();
	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		if (!(falls_back && c->layer->lazy) && !hashmap_find(before, c->id) &&
		    !(c->twin && hashmap_find(before, c->twin->id)))
			return false;
	return true;
}

/* The first step that can no longer be taken as it was planned, NULL for none. */
static int find_stale(struct manager *m, const struct eviction_steps *steps,
		      const struct eviction_planned **ret_stale)
{
	cleanup(hashmap_free) struct hashmap *before = hashmap_new();
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (!before || record_refs_mark_shared(locked->graph, m->leases) < 0)
		return -ENOMEM;
	*ret_stale = NULL;
	for (size_t i = 0; i < steps->count && !*ret_stale; i++) {
		struct eviction_planned *p = &steps->items[i];
		const struct record *r = record_graph_find(m->graph, p->id);

		if (!r || !eviction_candidates_is_free(r) ||
		    eviction_candidates_fingerprint(r) != p->fingerprint ||
		    r->shared != p->record.shared || !is_bare(before, r, p->record.cheap))
			*ret_stale = p;
		else if (hashmap_insert(before, p->id, p) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int execute_locked(struct prune_run *run, const char *plan, struct eviction_summary *s,
			  struct error *e)
{
	const struct eviction_steps *steps = eviction_plans_find(run->m, plan, e);
	const struct eviction_planned *stale;
	int64_t freed_before;
	int code;

	if (!steps)
		return -ENOENT;
	counter_fold_for_call(run->m, run->cancelled);
	mount_elsewhere_find(run->m);
	code = find_stale(run->m, steps, &stale);
	if (code < 0)
		return error_set(e, code, "out of memory");
	if (stale)
		return error_set(e, -EBUSY,
				 "plan %s is stale: record %s has changed since or is in use; "
				 "nothing was evicted (varve prune --dry-run makes a new plan)",
				 plan, stale->id);
	freed_before = begin_counting(run->m);
	code = take_all(run, steps, e);
	s->predicted_bytes = steps->freed_bytes;
	s->freed_bytes = finish_deletions(run->m) - freed_before;
	s->remaining_bytes = steps->remaining_bytes + run->kept_bytes;
	eviction_plans_drop(run->m, plan);
	s->missed_bytes = run->kept_bytes;
	s->goal_reached = run->kept_bytes == 0;
	if (!s->goal_reached)
		(void)snprintf(s->shortfall, sizeof(s->shortfall),
			       "some of its records have come into use since the plan was made");
	return code;
}

static enum meter_reason reason_of(const struct eviction_options *o)
{
	if (o->plan && *o->plan)
		return METER_REASON_MANUAL;
	if (prune_limits_are_set(&o->limits))
		return METER_REASON_SPACE;
	return o->keep_duration_ns ? METER_REASON_AGE : METER_REASON_MANUAL;
}

static void count_run(struct manager *m, const struct eviction_options *o, int code,
		      const struct eviction_summary *s, int64_t begun_ns)
{
	enum meter_result result = code < 0	     ? METER_RESULT_FAILED
				   : s->goal_reached ? METER_RESULT_DONE
						     : METER_RESULT_SHORT;

	if (o->dry_run)
		return;
	histogram_add(&m->meters.prunes, clock_monotonic_ns() - begun_ns);
	atomic_fetch_add(&m->meters.prune_runs[o->trigger][result], 1);
	atomic_store(&m->meters.prune_shortfall_bytes, s->missed_bytes);
}

int eviction_run(struct manager *m, const struct eviction_options *options,
		 int (*pruned)(const struct evicted_record *record, void *user), void *user,
		 struct eviction_summary *ret_summary, struct error *e)
{
	struct prune_run run = { .m = m,
				 .cancelled = options->cancelled,
				 .dry_run = options->dry_run,
				 .pruned = pruned,
				 .user = user,
				 .plan = options->plan ? options->plan : "",
				 .reason = reason_of(options) };
	cleanup(ranked_lock_release) struct ranked_lock *held = ranked_lock_acquire(&m->prune_lock);
	int64_t begun_ns = clock_monotonic_ns();
	int code;

	*ret_summary = (struct eviction_summary){ 0 };
	code = options->plan && *options->plan ? execute_locked(&run, options->plan, ret_summary, e)
					       : prune_locked(&run, options, ret_summary, e);
	count_run(m, options, code, ret_summary, begun_ns);
	return code;
}
