/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: when they run, and what they say of one record. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "manager/prune_steps.h"

/* So that a disk that others fill does not make us look at every record all the time. */
#define LOW_SPACE_PAUSE_NS (60 * NS_PER_S)

static struct manager_prune_options options_of(const struct prune_policy *p)
{
	return (struct manager_prune_options){ .all = p->all,
					       .filters = (const char *const *)p->filters,
					       .filter_count = p->filter_count,
					       .keep_duration_ns = p->keep_duration_ns,
					       .limits = p->limits,
					       .scorer = p->scorer };
}

int manager_policy_options(struct manager *m, const char *name,
			   struct manager_prune_options *ret_options, struct error *e)
{
	const struct prune_policy *p = m->policies ? prune_policies_find(m->policies, name) : NULL;

	if (!p)
		return error_set(e, -ENOENT, "no policy '%.100s' (varve policy show)", name);
	*ret_options = options_of(p);
	return 0;
}

int manager_policy_list(struct manager *m, struct manager_policy_view **ret_policies,
			size_t *ret_count, struct error *e)
{
	static const struct prune_rule everything = { .all = true, .scorer = &prune_scorer_access };
	cleanup(prune_view_free) struct prune_view view = { 0 };
	size_t count = m->policies ? m->policies->count : 0;
	struct manager_policy_view *policies = NULL;
	int code = usage_ops_measure(m, NULL, e);

	if (code == 0)
		code = prune_view_gather(m, &everything, &view, e);
	if (code < 0)
		return code;
	policies = calloc(count + 1, sizeof(*policies));
	if (!policies)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct prune_policy *p = &m->policies->items[i];

		policies[i] = (struct manager_policy_view){
			.policy = p,
			.disk = view.disk,
			.used_bytes = view.used_bytes,
			.keep_bytes = prune_limits_keep(&p->limits, &view.disk, view.used_bytes),
		};
	}
	*ret_policies = policies;
	*ret_count = count;
	return 0;
}

static bool space_is_low(struct manager *m)
{
	struct prune_disk disk = prune_view_disk(m);

	for (size_t i = 0; i < m->policies->count; i++)
		if (disk.free_bytes <
		    prune_space_bytes(&m->policies->items[i].limits.min_free, &disk))
			return true;
	return false;
}

bool manager_policies_are_due(struct manager *m)
{
	int64_t now = clock_boot_ns();

	if (!m->automatic || !m->policies || m->policies->count == 0)
		return false;
	if (m->policy_interval_ns &&
	    now - atomic_load(&m->policies_ran_boot_ns) >= m->policy_interval_ns)
		return true;
	if (now - atomic_load(&m->space_was_low_boot_ns) < LOW_SPACE_PAUSE_NS || !space_is_low(m))
		return false;
	atomic_store(&m->space_was_low_boot_ns, now);
	return true;
}

static int count_pruned(const struct manager_pruned *record, void *user)
{
	(void)record;
	++*(size_t *)user;
	return 0;
}

void manager_run_policies(struct manager *m, const atomic_bool *cancelled)
{
	for (size_t i = 0; m->policies && i < m->policies->count; i++) {
		const struct prune_policy *p = &m->policies->items[i];
		struct manager_prune_options options = options_of(p);
		struct manager_prune_summary s;
		char freed[UNITS_TEXT_MAX];
		struct error e = { 0 };
		size_t evicted = 0;

		options.cancelled = cancelled;
		if (manager_prune(m, &options, count_pruned, &evicted, &s, &e) < 0)
			manager_report(m, true, "policy=%s %s", p->name, e.text);
		else if (evicted > 0)
			manager_report(m, false, "policy=%s evicted=%zu freed=\"%s\"", p->name,
				       evicted, units_format_size(s.freed_bytes, freed));
		if (!s.goal_reached && s.missed_bytes > 0)
			manager_report(m, true, "policy=%s goal missed: %s", p->name, s.shortfall);
		if (cancelled && atomic_load(cancelled))
			break;
	}
	atomic_store(&m->policies_ran_boot_ns, clock_boot_ns());
}

/* ---- explain ---- */

/* With the lock: the half that the planner sees, and what holds it. */
static const struct record *listed_half(const struct record *r)
{
	return r->twin && !record_is_listed(r) ? r->twin : r;
}

static void name_holders(const struct record *r, char *text, size_t size)
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

	switch (keep) {
	case PRUNE_KEEP_HELD:
		name_holders(holder, holders, sizeof(holders));
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
			       "kept without --all: a lease says that its owner needs it, or a "
			       "record on top of it (varve lease ls)");
		break;
	case PRUNE_KEEP_TYPE:
		(void)snprintf(text, size, "kept without --all: its type is %s", r->type);
		break;
	case PRUNE_KEEP_YOUNG:
		(void)snprintf(text, size, "kept: last used %s",
			       units_format_age(record_last_used_ns(r), clock_wall_ns(), age));
		break;
	default:
		(void)snprintf(text, size, "kept: %s", prune_view_reason(keep));
	}
}

static size_t find_in_view(const struct prune_view *v, const char *id)
{
	size_t i = 0;

	while (i < v->count && strcmp(v->ids[i], id) != 0)
		i++;
	return i;
}

static size_t find_step(const struct prune_steps *s, const char *id)
{
	size_t i = 0;

	while (i < s->count && strcmp(s->items[i].id, id) != 0)
		i++;
	return i;
}

/* A record below others goes after them, if they do. */
static void explain_parent(struct manager *m, const struct prune_view *v, const char *id,
			   struct manager_explanation *x)
{
	const struct record *r;
	char why[300] = "";
	size_t child = 0;

	pthread_mutex_lock(&m->lock);
	r = record_graph_find(m->graph, id);
	r = r ? r->first_child : NULL;
	while (r && (child = find_in_view(v, listed_half(r)->id)) < v->count &&
	       v->kept[child] == PRUNE_KEEP_NOT && r->next_sibling)
		r = r->next_sibling;
	if (r) {
		if (child < v->count && v->kept[child] != PRUNE_KEEP_NOT)
			explain_kept(listed_half(r), v->kept[child], why, sizeof(why));
		(void)snprintf(x->why, sizeof(x->why), "kept: record %.12s lies on it%s%s", r->id,
			       *why ? ", which is " : "", why);
	}
	pthread_mutex_unlock(&m->lock);
}

static void explain_place(struct manager *m, const struct prune_view *v,
			  const struct prune_steps *steps, struct manager_explanation *x)
{
	size_t record = find_in_view(v, x->id), step = find_step(steps, x->id);
	const struct record *r;
	char terms[200];

	if (step < steps->count) {
		const struct prune_planned *p = &steps->items[step];

		x->place = step + 1;
		x->places = steps->count;
		x->score = p->step.score;
		prune_explain_score(&p->step, &p->record, terms, sizeof(terms));
		(void)snprintf(x->why, sizeof(x->why),
			       "would go as number %zu of %zu, with score %.4f: %s, size term %.4f",
			       x->place, x->places, x->score, terms, p->step.size_term);
		return;
	}
	x->kept = true;
	if (record < v->count && v->kept[record] == PRUNE_KEEP_NOT) {
		explain_parent(m, v, x->id, x);
		return;
	}
	pthread_mutex_lock(&m->lock);
	r = record_graph_find(m->graph, x->id);
	if (r && record < v->count)
		explain_kept(r, v->kept[record], x->why, sizeof(x->why));
	pthread_mutex_unlock(&m->lock);
}

/* The first policy that would take the record now. */
static int explain_policies(struct manager *m, struct manager_explanation *x, struct error *e)
{
	for (size_t i = 0; m->policies && i < m->policies->count; i++) {
		const struct prune_policy *p = &m->policies->items[i];
		struct manager_prune_options options = options_of(p);
		cleanup(prune_view_free) struct prune_view view = { 0 };
		cleanup(prune_steps_free) struct prune_steps steps = { 0 };
		int64_t keep_bytes;
		size_t step;
		int code = prune_steps_plan(m, &options, &view, &steps, &keep_bytes, e);

		if (code < 0)
			return code;
		step = find_step(&steps, x->id);
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
			"no policy would evict it now: the limits leave room for it, or none "
			"matches it (varve policy show)");
	return 0;
}

int manager_explain(struct manager *m, const char *id, struct manager_explanation *ret_explanation,
		    struct error *e)
{
	static const struct manager_prune_options no_limits = { .scorer = "" };
	cleanup(prune_view_free) struct prune_view view = { 0 };
	cleanup(prune_steps_free) struct prune_steps steps = { 0 };
	struct manager_explanation x = { .place = 0 };
	int64_t keep_bytes;
	struct record *r;
	int code = usage_ops_measure(m, NULL, e);

	if (code < 0)
		return code;
	pthread_mutex_lock(&m->lock);
	code = record_graph_resolve(m->graph, id, &r, e);
	if (code == 0)
		memcpy(x.id, listed_half(r)->id, sizeof(x.id));
	pthread_mutex_unlock(&m->lock);
	if (code == 0)
		code = prune_steps_plan(m, &no_limits, &view, &steps, &keep_bytes, e);
	if (code < 0)
		return code;
	explain_place(m, &view, &steps, &x);
	if (!x.kept)
		code = explain_policies(m, &x, e);
	if (!*x.why) /* it went while we looked */
		code = error_set(e, -ENOENT, "record %s is gone", x.id);
	*ret_explanation = x;
	return code;
}
