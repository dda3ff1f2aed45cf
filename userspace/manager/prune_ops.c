/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eviction. The plan is made from a copy of the graph; each step is checked again under the lock
 * before it is taken, so that whatever was taken into use meanwhile stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/units.h"
#include "graph/record_filter.h"
#include "manager/manager_state.h"
#include "prune/prune_plan.h"

/* The planner's view of the store: twins are one, by the half that is listed. */
struct candidates {
	struct prune_record *records;
	char (*ids)[RECORD_ID_LENGTH + 1];
	size_t count;
	/* Unshared bytes that stay whatever the limit, for the sentence about a missed goal. */
	int64_t held_bytes, mounted_bytes, pinned_bytes, young_bytes, other_bytes;
};

static bool is_kept_type(const struct record *r)
{
	return strcmp(r->type, "internal") == 0 || strcmp(r->type, "frontend") == 0;
}

static bool is_mounted(const struct record *r)
{
	return r->mount || (r->twin && r->twin->mount);
}

/* With the lock: may it go, children aside? Adds its size to what keeps it otherwise. */
static bool is_evictable(const struct record *r, const struct manager_prune_options *o,
			 const struct record_filter *filter, int64_t last_used_ns, int64_t now_ns,
			 struct candidates *c)
{
	int64_t size = r->shared ? 0 : r->layer->allocated_bytes;

	if (record_is_held(r) || (r->twin && record_is_held(r->twin)))
		c->held_bytes += size;
	else if (is_mounted(r))
		c->mounted_bytes += size;
	else if (record_is_pinned(r))
		c->pinned_bytes += size;
	else if (o->keep_duration_ns && last_used_ns && last_used_ns > now_ns - o->keep_duration_ns)
		c->young_bytes += size;
	else if ((!o->all && (is_kept_type(r) || r->shared)) || r->busy ||
		 !record_view_matches(filter, r, now_ns))
		c->other_bytes += size;
	else
		return true;
	return false;
}

struct position {
	const struct record *record;
	size_t index;
};

static int by_record(const void *a, const void *b)
{
	const struct record *x = ((const struct position *)a)->record;
	const struct record *y = ((const struct position *)b)->record;

	return (x > y) - (x < y);
}

/* With the lock. Parents are immutable and finalized, so that a listed record is one itself. */
static void link_parents(struct candidates *c, struct position *positions)
{
	qsort(positions, c->count, sizeof(*positions), by_record);
	for (size_t i = 0; i < c->count; i++) {
		struct position key = { .record = positions[i].record->parent }, *parent = NULL;

		if (key.record)
			parent = bsearch(&key, positions, c->count, sizeof(*positions), by_record);
		c->records[positions[i].index].parent = parent ? parent->index : PRUNE_NO_PARENT;
	}
}

/* With the lock, after everything was measured. */
static int gather(struct manager *m, const struct manager_prune_options *o,
		  const struct record_filter *filter, const struct prune_scorer *scorer,
		  struct candidates *c)
{
	size_t room = record_graph_count(m->graph) + 1, position = 0;
	cleanup(free_ptr) struct position *positions = calloc(room, sizeof(*positions));
	int64_t now = clock_wall_ns();
	struct record *r;

	c->records = calloc(room, sizeof(*c->records));
	c->ids = calloc(room, sizeof(*c->ids));
	if (!positions || !c->records || !c->ids)
		return -ENOMEM;
	record_refs_mark_in_use(m->graph);
	if (record_refs_mark_shared(m->graph, m->leases) < 0)
		return -ENOMEM;
	while ((r = record_graph_next(m->graph, &position))) {
		struct prune_record *p = &c->records[c->count];

		if (!record_is_listed(r))
			continue;
		memcpy(c->ids[c->count], r->id, sizeof(r->id));
		*p = (struct prune_record){
			.id = c->ids[c->count],
			.created_ns = r->created_ns,
			.last_used_ns = scorer->uses_refs ? r->last_ref_use_ns
							  : record_last_used_ns(r),
			.usage_count = scorer->uses_refs ? r->ref_uses : record_usage_count(r),
			.size_bytes = r->layer->allocated_bytes,
			.shared = r->shared,
		};
		p->evictable = is_evictable(r, o, filter, p->last_used_ns, now, c);
		positions[c->count] = (struct position){ .record = r, .index = c->count };
		c->count++;
	}
	link_parents(c, positions);
	return 0;
}

static void free_candidates(struct candidates *c)
{
	free(c->records);
	free(c->ids);
}

static void explain_step(const struct prune_step *s, const struct prune_record *p, char *text,
			 size_t size)
{
	char age[UNITS_TEXT_MAX];
	int used;

	if (p->last_used_ns)
		used = snprintf(text, size, "last used %s (rank %zu of %zu)",
				units_format_age(p->last_used_ns, clock_wall_ns(), age),
				s->last_used_rank, s->last_used_ranks);
	else
		used = snprintf(text, size, "never used");
	if (used < 0 || (size_t)used >= size)
		return;
	if (p->usage_count)
		(void)snprintf(text + used, size - (size_t)used,
			       ", %" PRIu64 " use%s (rank %zu of %zu)", p->usage_count,
			       p->usage_count == 1 ? "" : "s", s->usage_rank, s->usage_ranks);
}

/* With the lock, which it lets go of: what may have changed since the plan was made. */
static int evict(struct manager *m, const char *id, struct error *e)
{
	struct record *r = record_graph_find(m->graph, id);
	int code;

	if (!r || r->state != RECORD_LIVE || r->busy || r->first_child || record_is_held(r) ||
	    (r->twin && (r->twin->busy || record_is_held(r->twin))) || is_mounted(r) ||
	    record_is_pinned(r))
		return -EBUSY;
	manager_reserve(r);
	pthread_mutex_unlock(&m->lock);
	code = cache_ops_delete(m, r, e);
	pthread_mutex_lock(&m->lock);
	if (code < 0)
		manager_unreserve(m, r);
	return code;
}

/* Fills in what only the record knows; false when it has gone. With the lock. */
static bool describe(struct manager *m, const char *id, struct manager_pruned *p, char **ret_text)
{
	const struct record *r = record_graph_find(m->graph, id);

	if (!r)
		return false;
	memcpy(p->id, r->id, sizeof(p->id));
	if (r->parent)
		memcpy(p->parent, r->parent->id, sizeof(p->parent));
	p->is_mutable = r->is_mutable;
	/* One allocation for both texts: they must outlive the record. */
	if (asprintf(ret_text, "%s%c%s", r->description, 0, r->type) < 0)
		*ret_text = NULL;
	if (!*ret_text)
		return false;
	p->description = *ret_text;
	p->type = *ret_text + strlen(*ret_text) + 1;
	return true;
}

struct prune_run {
	struct manager *m;
	const struct manager_prune_options *options;
	const struct candidates *candidates;
	int (*pruned)(const struct manager_pruned *record, void *user);
	void *user;
	int64_t kept_bytes; /* planned to go, but taken into use meanwhile */
};

static int take_step(struct prune_run *run, const struct prune_step *step, struct error *e)
{
	const struct prune_record *p = &run->candidates->records[step->record];
	struct manager_pruned pruned = { .size_bytes = p->size_bytes,
					 .created_ns = p->created_ns,
					 .last_used_ns = p->last_used_ns,
					 .usage_count = p->usage_count,
					 .shared = p->shared,
					 .score = step->score };
	cleanup(free_ptr) char *text = NULL;
	char reason[200];
	int code = 0;

	if (run->options->cancelled && atomic_load(run->options->cancelled))
		return error_set(e, -ECANCELED, "prune was cancelled");
	pthread_mutex_lock(&run->m->lock);
	if (!describe(run->m, p->id, &pruned, &text))
		code = -EBUSY;
	else if (!run->options->dry_run)
		code = evict(run->m, p->id, e);
	pthread_mutex_unlock(&run->m->lock);
	if (code == -EBUSY || code == -ENOTEMPTY) {
		run->kept_bytes += p->size_bytes;
		return 0;
	}
	if (code < 0)
		return error_context(e, "prune %s", p->id);
	explain_step(step, p, reason, sizeof(reason));
	pruned.reason = reason;
	return run->pruned(&pruned, run->user);
}

static int64_t free_bytes(const struct manager *m)
{
	struct statfs s;

	return fstatfs(m->root_fd, &s) == 0 ? (int64_t)s.f_bfree * s.f_bsize : 0;
}

static void add_reason(char *text, size_t size, int64_t bytes, const char *why)
{
	char amount[UNITS_TEXT_MAX];
	size_t used = strlen(text);

	if (bytes > 0)
		(void)snprintf(text + used, size - used, "%s%s %s", used ? ", " : "",
			       units_format_size(bytes, amount), why);
}

static void summarize(const struct prune_run *run, const struct prune_plan *plan,
		      struct manager_prune_summary *s)
{
	const struct candidates *c = run->candidates;

	s->predicted_bytes = plan->freed_bytes;
	s->remaining_bytes = plan->remaining_bytes + run->kept_bytes;
	s->goal_reached = run->options->keep_bytes == 0 ||
			  s->remaining_bytes < run->options->keep_bytes;
	s->shortfall[0] = '\0';
	if (s->goal_reached)
		return;
	add_reason(s->shortfall, sizeof(s->shortfall), c->held_bytes, "held by leases");
	add_reason(s->shortfall, sizeof(s->shortfall), c->mounted_bytes, "mounted");
	add_reason(s->shortfall, sizeof(s->shortfall), c->pinned_bytes, "pinned");
	add_reason(s->shortfall, sizeof(s->shortfall), c->young_bytes, "used too recently");
	add_reason(s->shortfall, sizeof(s->shortfall), c->other_bytes,
		   "not matched by the filters or of a kept type");
	add_reason(s->shortfall, sizeof(s->shortfall), run->kept_bytes, "taken into use meanwhile");
	if (!s->shortfall[0])
		(void)snprintf(s->shortfall, sizeof(s->shortfall),
			       "the rest are parents of records that stay");
}

static int run_plan(struct prune_run *run, const struct prune_plan *plan, struct error *e)
{
	for (size_t i = 0; i < plan->count; i++) {
		int code = take_step(run, &plan->steps[i], e);

		if (code < 0)
			return code;
	}
	return 0;
}

static int prune_locked(struct manager *m, const struct manager_prune_options *o,
			const struct record_filter *filter, const struct prune_scorer *scorer,
			struct prune_run *run, struct manager_prune_summary *ret_summary,
			struct error *e)
{
	struct candidates candidates = { 0 };
	struct prune_plan plan = { 0 };
	int64_t before;
	int code = usage_ops_measure(m, o->cancelled, e);

	if (code < 0)
		return code;
	pthread_mutex_lock(&m->lock);
	code = gather(m, o, filter, scorer, &candidates);
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		error_set(e, code, "out of memory");
	else
		code = prune_plan(candidates.records, candidates.count, o->keep_bytes, scorer,
				  &plan, e);
	if (code == 0) {
		run->candidates = &candidates;
		before = free_bytes(m);
		code = run_plan(run, &plan, e);
		store_files_drain_trash(m);
		summarize(run, &plan, ret_summary);
		ret_summary->freed_bytes = o->dry_run ? 0 : free_bytes(m) - before;
	}
	prune_plan_free(&plan);
	free_candidates(&candidates);
	return code;
}

int manager_prune(struct manager *m, const struct manager_prune_options *options,
		  int (*pruned)(const struct manager_pruned *record, void *user), void *user,
		  struct manager_prune_summary *ret_summary, struct error *e)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	const struct prune_scorer *scorer = prune_scorer_find(options->scorer);
	struct prune_run run = { .m = m, .options = options, .pruned = pruned, .user = user };
	int code;

	if (!scorer)
		return error_set(e, -EINVAL, "no scorer '%.40s': access and buildkit are",
				 options->scorer);
	if (options->keep_bytes < 0 || options->keep_duration_ns < 0)
		return error_set(e, -EINVAL, "a limit cannot be negative");
	code = record_filter_parse(options->filters, options->filter_count, &filter, e);
	if (code < 0)
		return code;
	pthread_mutex_lock(&m->prune_lock);
	code = prune_locked(m, options, filter, scorer, &run, ret_summary, e);
	pthread_mutex_unlock(&m->prune_lock);
	return code;
}
