/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/eviction/eviction_policies.h"
#include "manager/eviction/eviction_run.h"
#include "manager/eviction/eviction_steps.h"
#include "manager/records/layer_sizes.h"
#include "manager/state/manager_state.h"

/* The half of a twin pair that is a candidate. With the lock. */
static const struct record *listed_half(const struct record *r)
{
	manager_assert_some_locked();
	return r->twin && !record_is_listed(r) ? r->twin : r;
}

static void list_holds(const struct record *r, char *text, size_t size)
{
	size_t used = 0;

	for (const struct hold *h = r->holds; h && used < size; h = h->next_of_record) {
		int length = snprintf(text + used, size - used, "%s%s (%u ref%s)", used ? ", " : "",
				      h->lease->name, h->refs, h->refs == 1 ? "" : "s");

		used += length > 0 ? (size_t)length : size;
	}
}

/* With the lock. */
static void explain_kept(const struct record *r, enum prune_keep keep, char *text, size_t size)
{
	const struct record *holder = r->refs == 0 && r->twin && r->twin->refs ? r->twin : r;
	char holders[200] = "", age[UNITS_TEXT_MAX];

	manager_assert_some_locked();
	switch (keep) {
	case PRUNE_KEEP_HELD:
		list_holds(holder, holders, sizeof(holders));
		(void)snprintf(text, size, "kept: held by %s (varve release %.12s)", holders,
			       holder->id);
		break;
	case PRUNE_KEEP_MOUNTED:
		(void)snprintf(text, size, "kept: mounted (varve umount %.12s)", r->id);
		break;
	case PRUNE_KEEP_PINNED:
		(void)snprintf(text, size, "kept: pinned (varve unpin %.12s)", r->id);
		break;
	case PRUNE_KEEP_SHARED:
		(void)snprintf(text, size,
			       "kept without --all: a lease has an external reference to it, or to "
			       "a record on top of it (varve lease ls)");
		break;
	case PRUNE_KEEP_TYPE:
		(void)snprintf(text, size, "kept without --all: its type is %s", r->type);
		break;
	case PRUNE_KEEP_YOUNG:
		(void)snprintf(text, size, "kept: last used %s",
			       units_format_age(record_last_used_ns(r), clock_wall_ns(), age));
		break;
	default:
		(void)snprintf(text, size, "kept: %s", prune_keep_reason(keep));
	}
}

/* Leaves the text empty when the record is gone. */
static void explain_kept_by_id(struct manager *m, const char *id, enum prune_keep keep, char *text,
			       size_t size)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct record *r = record_graph_find(locked->graph, id);

	if (r)
		explain_kept(r, keep, text, size);
}

/* The index of a record; `count` when it is not a candidate. */
static size_t find_record(const struct eviction_candidates *v, const char *id)
{
	size_t i = 0;

	while (i < v->count && strcmp(v->ids[i], id) != 0)
		i++;
	return i;
}

static size_t find_step(const struct eviction_steps *s, size_t record)
{
	size_t i = 0;

	while (i < s->count && s->items[i].step.record != record)
		i++;
	return i;
}

/* Notes of each candidate one that stays on top of it, plus 1; of the others 0. */
static void note_stayers(const struct eviction_candidates *v, const struct eviction_steps *steps,
			 bool *evicted, size_t *stayers)
{
	for (size_t i = 0; i < steps->count; i++)
		evicted[steps->items[i].step.record] = true;
	for (size_t i = v->count; i-- > 0;)
		if (!evicted[i] && v->records[i].parent != PRUNE_NO_PARENT)
			stayers[v->records[i].parent] = i + 1;
}

/* A record stays, although nothing keeps it, when a record on top of it stays. Finds the record on
 * top that has a reason of its own. */
static size_t find_stayer(const struct eviction_candidates *v, const struct eviction_steps *steps,
			  size_t record)
{
	cleanup(free_ptr) bool *evicted = calloc(v->count, sizeof(*evicted));
	cleanup(free_ptr) size_t *stayers = calloc(v->count, sizeof(*stayers));

	if (!evicted || !stayers)
		return record;
	note_stayers(v, steps, evicted, stayers);
	while (v->kept[record] == PRUNE_KEEP_NOT && stayers[record])
		record = stayers[record] - 1;
	return record;
}

static void explain_parent(struct manager *m, const struct eviction_candidates *v,
			   const struct eviction_steps *steps, size_t record,
			   struct eviction_explanation *x)
{
	size_t stayer = find_stayer(v, steps, record);
	char why[300] = "";

	if (stayer != record)
		explain_kept_by_id(m, v->ids[stayer], v->kept[stayer], why, sizeof(why));
	if (*why)
		(void)snprintf(x->why, sizeof(x->why), "kept: record %.12s on top of it is %s",
			       v->ids[stayer], why);
	else
		(void)snprintf(x->why, sizeof(x->why), "kept: records on top of it are kept");
}

static void explain_place(const struct eviction_steps *steps, size_t step,
			  struct eviction_explanation *x)
{
	const struct eviction_planned *p = &steps->items[step];
	char terms[EVICTION_STEPS_TEXT];

	x->place = step + 1;
	x->places = steps->count;
	x->score = p->step.score;
	eviction_steps_explain(p, terms);
	(void)snprintf(x->why, sizeof(x->why),
		       "would be evicted as number %zu of %zu, with score %.4g: %s", x->place,
		       x->places, x->score, terms);
}

static void explain_why(struct manager *m, const struct eviction_candidates *v,
			const struct eviction_steps *steps, struct eviction_explanation *x)
{
	size_t record = find_record(v, x->id), step = find_step(steps, record);

	x->kept = step == steps->count;
	if (!x->kept)
		explain_place(steps, step, x);
	else if (record < v->count && v->kept[record] == PRUNE_KEEP_NOT)
		explain_parent(m, v, steps, record, x);
	else if (record < v->count)
		explain_kept_by_id(m, x->id, v->kept[record], x->why, sizeof(x->why));
}

/* Names the first policy that would evict the record now. */
static int explain_policies(struct manager *m, const atomic_bool *cancelled,
			    struct eviction_explanation *x, struct error *e)
{
	for (size_t i = 0; m->policies && i < m->policies->count; i++) {
		const struct prune_policy *p = &m->policies->items[i];
		struct eviction_options options;
		cleanup(eviction_candidates_free) struct eviction_candidates candidates = { 0 };
		cleanup(eviction_steps_free) struct eviction_steps steps = { 0 };
		struct prune_goal goal;
		size_t step;
		int code = eviction_policies_options(m, p->name, &options, e);

		if (code < 0)
			return code;
		if (*p->owner)
			continue;
		options.cancelled = cancelled;
		code = eviction_steps_plan(m, &options, &candidates, &steps, &goal, e);
		if (code < 0)
			return code;
		step = find_step(&steps, find_record(&candidates, x->id));
		if (step < steps.count) {
			(void)snprintf(x->policy, sizeof(x->policy),
				       "policy '%.100s' would evict it now, as number %zu of %zu",
				       p->name, step + 1, steps.count);
			return 0;
		}
	}
	if (m->policies && m->policies->count > 0)
		(void)snprintf(
			x->policy, sizeof(x->policy),
			"no policy would evict it now: the limits leave room for it, or no policy "
			"matches it (varve policy show)");
	return 0;
}

static int find_listed(struct manager *m, const char *id, char ret_id[RECORD_ID_LENGTH + 1],
		       struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = record_graph_resolve(locked->graph, id, &r, e);

	if (code < 0)
		return code;
	memcpy(ret_id, listed_half(r)->id, sizeof(r->id));
	return 0;
}

int eviction_explain(struct manager *m, const char *id, const atomic_bool *cancelled,
		     struct eviction_explanation *ret_explanation, struct error *e)
{
	const struct eviction_options no_limits = { .scorer = "", .cancelled = cancelled };
	cleanup(eviction_candidates_free) struct eviction_candidates candidates = { 0 };
	cleanup(eviction_steps_free) struct eviction_steps steps = { 0 };
	struct eviction_explanation x = { .place = 0 };
	struct prune_goal goal;
	int code = layer_sizes_measure(m, cancelled, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	code = find_listed(m, id, x.id, e);
	if (code < 0)
		return code;
	code = eviction_steps_plan(m, &no_limits, &candidates, &steps, &goal, e);
	if (code < 0)
		return code;
	explain_why(m, &candidates, &steps, &x);
	if (!x.kept)
		code = explain_policies(m, cancelled, &x, e);
	if (!*x.why) /* it was removed meanwhile */
		code = error_set(e, -ENOENT, "record %s has just been removed", x.id);
	*ret_explanation = x;
	return code;
}
