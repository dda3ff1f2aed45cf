/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owners.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "graph/record_filter.h"
#include "manager/eviction/eviction_steps.h"
#include "manager/manager.h"
#include "manager/state/event_ring.h"
#include "owners/owner_plans.h"

/* For so long names need not be asked for again; of an owner that did not answer, it is longer:
 * callers that want names would wait for it each time. */
#define FRESH_NS (5 * NS_PER_S)
#define FAILED_NS (60 * NS_PER_S)

struct owner {
	struct owners *all;
	const struct owner_settings *settings;
	atomic_bool asking; /* for its state: one thread at a time */
	atomic_bool pruning;
	struct owner_state state; /* with the lock of all, as is what follows */
	struct owner_names names;
};

struct owners {
	struct owners_options options;
	struct owner items[OWNERS_MAX];
	size_t count;
	pthread_mutex_t lock; /* for moments only */
	struct owner_plans plans;
};

int owners_new(const struct owners_options *options, struct owners **ret_owners, struct error *e)
{
	struct owners *all = calloc(1, sizeof(*all));

	if (!all)
		return error_set(e, -ENOMEM, "out of memory");
	all->options = *options;
	all->count = options->settings->count;
	pthread_mutex_init(&all->lock, NULL);
	owner_plans_init(&all->plans);
	for (size_t i = 0; i < all->count; i++) {
		const struct owner_settings *settings = &options->settings->items[i];

		all->items[i] = (struct owner){ .all = all,
						.settings = settings,
						.state = { .settings = settings } };
	}
	*ret_owners = all;
	return 0;
}

void owners_free(struct owners *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->count; i++)
		owner_names_free(&all->items[i].names);
	owner_plans_destroy(&all->plans);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

void owners_report(struct owners *all, bool problem, const char *format, ...)
{
	char text[700];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	all->options.report(problem, text, all->options.user);
}

/* ---- what an owner has ---- */

static struct owner_state read_state(struct owner *o)
{
	struct owner_state state;

	pthread_mutex_lock(&o->all->lock);
	state = o->state;
	pthread_mutex_unlock(&o->all->lock);
	return state;
}

static void tell(struct owner *o, enum event_kind kind, const char *detail)
{
	struct ring_event event = { .kind = kind, .bytes = -1 };

	(void)snprintf(event.detail, sizeof(event.detail), "%s: %s", o->settings->name, detail);
	event_ring_add(manager_events(o->all->options.manager), &event);
}

/* Notes what became of a question, and reports a change. */
static void note_state(struct owner *o, struct owner_state *state, int code, const struct error *e)
{
	struct owner_state before = read_state(o);

	state->settings = o->settings;
	state->asked_ns = clock_wall_ns();
	state->reachable = code == 0;
	if (code < 0) {
		(void)snprintf(state->problem, sizeof(state->problem), "%.299s", e->text);
		/* The rest is as it was when it answered last. */
		memcpy(state->version, before.version, sizeof(state->version));
	}
	pthread_mutex_lock(&o->all->lock);
	o->state = *state;
	pthread_mutex_unlock(&o->all->lock);
	if (code < 0 && !before.problem[0])
		tell(o, EVENT_OWNER_LOST, state->problem);
	else if (code == 0 && before.problem[0])
		tell(o, EVENT_OWNER_BACK, "answers again");
	if (code < 0 && strcmp(before.problem, state->problem) != 0)
		owners_report(o->all, true, "owner=%s %s", o->settings->name, state->problem);
	else if (code == 0 && before.problem[0])
		owners_report(o->all, false, "owner=%s answers again", o->settings->name);
}

/* What the owner calls the store's records, for those who ask without asking the owner. */
static int note_names(struct owner *o, const struct owner_view *v, struct error *e)
{
	cleanup(owner_names_free) struct owner_names names = { 0 };
	struct owner_names before;
	int code = owner_names_make(v, o->settings, &names, e);

	if (code < 0)
		return code;
	pthread_mutex_lock(&o->all->lock);
	before = o->names;
	o->names = names;
	pthread_mutex_unlock(&o->all->lock);
	names = before;
	return 0;
}

static struct owner_question ask_of(const struct owner *o, const atomic_bool *cancelled)
{
	return (struct owner_question){ .owner = o->settings,
					.all = o->all->options.settings,
					.containerd = o->all->options.containerd,
					.cancelled = cancelled };
}

static int view(struct owner *o, const struct prune_rule *rule, const atomic_bool *cancelled,
		struct owner_view *ret_view, struct error *e)
{
	const struct owner_question question = ask_of(o, cancelled);
	cleanup(owner_answer_free) struct owner_answer answer = { .count = 0 };
	int code = owner_answer_get(&question, &answer, e);

	if (code < 0)
		return code;
	return owner_view_make(o->all->options.manager, o->settings, &answer, rule, cancelled,
			       ret_view, e);
}

static int find_state(struct owner *o, const atomic_bool *cancelled, struct owner_state *state,
		      struct error *e)
{
	static const struct prune_rule rule = { .scorer = &prune_scorer_access };
	const struct eviction_options everything = { .cancelled = cancelled };
	struct prune_goal goal;
	cleanup(owner_view_free) struct owner_view v = { .count = 0 };
	cleanup(owner_plan_free) struct owner_plan plan = { 0 };
	int code = view(o, &rule, cancelled, &v, e);

	if (code < 0)
		return code;
	code = note_names(o, &v, e);
	if (code < 0)
		return code;
	code = owner_plan_make(&v, o->settings, &everything, rule.scorer, &plan, &goal, e);
	if (code < 0)
		return code;
	(void)snprintf(state->version, sizeof(state->version), "%.63s", v.answer.version);
	state->records = v.count;
	state->layer_bytes = v.used_bytes;
	state->evictable = plan.count;
	state->evictable_bytes = plan.freed_bytes;
	return 0;
}

/* One owner, and the call that asks it. */
struct question {
	struct owner *owner;
	const atomic_bool *cancelled;
	struct owner_state *state;
	pthread_t thread;
	bool runs;
};

static void *ask(void *arg)
{
	struct question *q = arg;
	struct owner_state state = { 0 };
	struct error e = { 0 };
	int code;

	if (atomic_exchange(&q->owner->asking, true)) {
		*q->state = read_state(q->owner);
		q->state->asking = true;
		return NULL;
	}
	code = find_state(q->owner, q->cancelled, &state, &e);
	if (code != -ECANCELED)
		note_state(q->owner, &state, code, &e);
	atomic_store(&q->owner->asking, false);
	*q->state = read_state(q->owner);
	return NULL;
}

static bool is_stale(struct owner *o)
{
	struct owner_state state = read_state(o);

	return clock_wall_ns() - state.asked_ns > (state.reachable ? FRESH_NS : FAILED_NS);
}

/* All owners, or those that are stale; *ret_states has the states of all that were asked. */
static int ask_owners(struct owners *all, bool stale_only, const atomic_bool *cancelled,
		      struct owner_state **ret_states, size_t *ret_count, struct error *e)
{
	cleanup(free_ptr) struct owner_state *states = calloc(all->count + 1, sizeof(*states));
	size_t count = 0;
	struct question questions[OWNERS_MAX];

	if (!states)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < all->count; i++) {
		struct question *q = &questions[count];

		if (stale_only && !is_stale(&all->items[i]))
			continue;
		*q = (struct question){ .owner = &all->items[i],
					.cancelled = cancelled,
					.state = &states[count] };
		q->runs = pthread_create(&q->thread, NULL, ask, q) == 0;
		count++;
	}
	for (size_t i = 0; i < count; i++) {
		if (questions[i].runs)
			(void)pthread_join(questions[i].thread, NULL); /* it is ours */
		else
			(void)ask(&questions[i]);
	}
	*ret_states = take_ptr(states);
	*ret_count = count;
	return 0;
}

int owners_list(struct owners *all, const atomic_bool *cancelled, struct owner_state **ret_states,
		size_t *ret_count, struct error *e)
{
	return ask_owners(all, false, cancelled, ret_states, ret_count, e);
}

int owners_refresh(struct owners *all, const atomic_bool *cancelled, struct error *e)
{
	cleanup(free_ptr) struct owner_state *states = NULL;
	size_t count;

	return ask_owners(all, true, cancelled, &states, &count, e);
}

int owners_visit_names(struct owners *all, const char *record,
		       int (*visit)(const struct owner_name *name, void *user), void *user)
{
	int code = 0;

	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < all->count && code == 0; i++)
		code = owner_names_visit(&all->items[i].names, record, visit, user);
	pthread_mutex_unlock(&all->lock);
	return code;
}

/* ---- prune ---- */

bool owners_have_plan(struct owners *all, const char *plan)
{
	return owner_plans_have(&all->plans, plan);
}

static int find_owner(struct owners *all, const char *name, struct owner **ret_owner,
		      struct error *e)
{
	for (size_t i = 0; i < all->count; i++) {
		if (strcmp(all->items[i].settings->name, name) != 0)
			continue;
		*ret_owner = &all->items[i];
		return 0;
	}
	return error_set(e, -ENOENT, "no owner '%.60s' in the configuration (varve owners)", name);
}

static int make_rule(const struct eviction_options *o, struct record_filter **ret_filter,
		     struct prune_rule *ret_rule, struct error *e)
{
	int code = eviction_steps_rule(o, ret_filter, ret_rule, e);

	if (code == 0 && o->to_lazy)
		return error_set(e, -EINVAL,
				 "an owner's records cannot become lazy: leave out --to-lazy");
	return code;
}

static void summarize(const struct owner_view *v, const struct owner_pruning *p,
		      const struct prune_goal *goal, struct eviction_summary *s)
{
	s->predicted_bytes = p->plan->freed_bytes;
	s->freed_bytes = p->freed_bytes;
	s->remaining_bytes = p->plan->remaining_bytes + p->refused_bytes;
	if (!goal) { /* a plan's goal is that all of its steps are taken */
		s->missed_bytes = p->refused_bytes;
		s->goal_reached = p->refused == 0 && p->returned == 0;
		if (!s->goal_reached)
			(void)snprintf(s->shortfall, sizeof(s->shortfall),
				       "%zu of its records stay: the owner refused, or they have "
				       "come into use since the plan was made",
				       p->refused + p->returned);
		return;
	}
	s->goal_reached = goal->keep_bytes == 0 || (s->remaining_bytes < goal->keep_bytes &&
						    p->plan->freed_inodes >= goal->free_inodes);
	if (s->goal_reached)
		return;
	if (s->remaining_bytes < goal->keep_bytes) {
		(void)snprintf(s->shortfall, sizeof(s->shortfall),
			       "%" PRId64 " inodes more should be free: the records that have them "
			       "are kept",
			       goal->free_inodes - p->plan->freed_inodes);
		return;
	}
	s->missed_bytes = s->remaining_bytes - goal->keep_bytes + 1;
	owner_plan_explain_shortfall(v, p->refused_bytes, s);
}

static void report_oddities(struct owner *o, const struct owner_pruning *p)
{
	if (p->others > 0)
		owners_report(o->all, true,
			      "owner=%s it removed %zu records that it was not asked to remove",
			      o->settings->name, p->others);
	if (p->returned > 0)
		owners_report(o->all, true,
			      "owner=%s it lists %zu records that it says it has removed",
			      o->settings->name, p->returned);
}

/* Whether the configuration allows each step, which a plan of an earlier one may not have known. */
static bool may_take(const struct owner *o, const struct owner_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (!(o->settings->evict &
		      (plan->steps[i].namespace ? OWNER_EVICT_IMAGES : OWNER_EVICT_CACHE)))
			return false;
	return o->settings->evict != OWNER_EVICT_NOTHING;
}

/* The part that asks for removals: the owner is marked, and has to allow it. */
static int run_steps(struct owner *o, struct owner_pruning *p, struct error *e)
{
	const struct owner_question question = ask_of(o, p->cancelled);
	int code;

	if (!may_take(o, p->plan))
		return error_set(e, -EPERM,
				 "owner '%s' is not asked to remove anything: the configuration "
				 "has no 'evict = %s' for it",
				 o->settings->name,
				 o->settings->has & OWNER_EVICT_CACHE ? "cache" : "images");
	if (atomic_exchange(&o->pruning, true))
		return error_set(e, -EBUSY, "owner '%s' is being pruned already",
				 o->settings->name);
	p->question = &question;
	code = owner_prune_run(p, e);
	p->question = NULL;
	atomic_store(&o->pruning, false);
	report_oddities(o, p);
	return code;
}

static int plan_and_run(struct owner *o, const struct eviction_options *options,
			struct owner_pruning *p, struct eviction_summary *s, struct error *e)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	cleanup(owner_view_free) struct owner_view v = { .count = 0 };
	cleanup(owner_plan_free) struct owner_plan plan = { 0 };
	struct prune_rule rule;
	struct prune_goal goal;
	int code = make_rule(options, &filter, &rule, e);

	if (code < 0)
		return code;
	code = view(o, &rule, options->cancelled, &v, e);
	if (code < 0)
		return error_context(e, "owner '%s'", o->settings->name);
	code = owner_plan_make(&v, o->settings, options, rule.scorer, &plan, &goal, e);
	if (code < 0)
		return code;
	p->plan = &plan;
	code = options->dry_run ? owner_prune_show(p, e) : run_steps(o, p, e);
	summarize(&v, p, &goal, s);
	if (code == 0 && options->dry_run)
		code = owner_plans_keep(&o->all->plans, &plan, s->plan, e);
	return code;
}

/* The first step whose record has changed; NULL: none has. */
static const struct owner_step *find_stale(struct manager *m, const struct owner_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (owner_step_is_stale(m, &plan->steps[i]))
			return &plan->steps[i];
	return NULL;
}

static int run_plan(struct owners *all, const char *name, struct owner_pruning *p,
		    struct eviction_summary *s, struct error *e)
{
	cleanup(owner_plan_free) struct owner_plan plan = { 0 };
	const struct owner_step *stale;
	struct owner *o = NULL;
	int code = owner_plans_take(&all->plans, name, &plan, e);

	if (code == 0)
		code = find_owner(all, plan.owner, &o, e);
	if (code < 0)
		return code;
	stale = find_stale(all->options.manager, &plan);
	if (stale)
		return error_set(e, -EBUSY,
				 "plan %s is stale: record %s has changed since or is in use; "
				 "nothing was evicted (varve prune --dry-run makes a new plan)",
				 name, stale->id);
	p->plan = &plan;
	code = run_steps(o, p, e);
	summarize(NULL, p, NULL, s);
	if (code == -EPERM || code == -EBUSY || (code < 0 && p->freed_bytes == 0))
		owner_plans_return(&all->plans, name, &plan);
	return code;
}

int owners_prune(struct owners *all, const char *owner, const struct eviction_options *options,
		 int (*stepped)(const struct owner_outcome *outcome, void *user), void *user,
		 struct eviction_summary *ret_summary, struct error *e)
{
	struct owner_pruning p = { .m = all->options.manager,
				   .cancelled = options->cancelled,
				   .stepped = stepped,
				   .user = user };
	struct owner *o = NULL;
	int code;

	*ret_summary = (struct eviction_summary){ 0 };
	if (options->plan && *options->plan)
		return run_plan(all, options->plan, &p, ret_summary, e);
	code = find_owner(all, owner, &o, e);
	if (code < 0)
		return code;
	return plan_and_run(o, options, &p, ret_summary, e);
}
