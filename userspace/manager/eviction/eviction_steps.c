/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_steps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/state/manager_state.h"

/* Writes " (rank 1 of 6)", or nothing for a scorer that does not rank. Returns the text. */
static const char *rank_text(size_t rank, size_t ranks, char text[UNITS_TEXT_MAX])
{
	*text = '\0';
	if (ranks > 0)
		(void)snprintf(text, UNITS_TEXT_MAX, " (rank %zu of %zu)", rank, ranks);
	return text;
}

/* Writes "; would be needed again in about 9 days (…); takes 40 s to make; frees 2 GiB with the 3
 * below it". */
static void explain_block(const struct eviction_planned *planned, char *text, size_t size)
{
	const struct prune_step *s = &planned->step;
	char again[HISTORY_FORECAST_TEXT], freed[UNITS_TEXT_MAX];
	int used;

	history_forecast_explain(&planned->expected, again);
	used = snprintf(text, size, "; would be needed again %s", again);
	if (used > 0 && (size_t)used < size && s->block_records > 1)
		(void)snprintf(text + used, size - (size_t)used, "; frees %s with the %zu %s",
			       units_format_size(s->block_bytes, freed), s->block_records - 1,
			       s->tops_chain ? "below it" : "that are evicted with it");
}

void eviction_steps_explain(const struct eviction_planned *planned, char text[EVICTION_STEPS_TEXT])
{
	const struct prune_step *s = &planned->step;
	const struct prune_record *p = &planned->record;
	char age[UNITS_TEXT_MAX], rank[UNITS_TEXT_MAX];
	size_t used = 0, size = EVICTION_STEPS_TEXT;

	if (p->last_used_ns)
		used = (size_t)snprintf(text, size, "last used %s%s",
					units_format_age(p->last_used_ns, clock_wall_ns(), age),
					rank_text(s->last_used_rank, s->last_used_ranks, rank));
	else
		used = (size_t)snprintf(text, size, "never used");
	if (s->block_records)
		explain_block(planned, text + used, size - used);
	else if (p->usage_count)
		(void)snprintf(text + used, size - used, ", %" PRIu64 " use%s%s", p->usage_count,
			       p->usage_count == 1 ? "" : "s",
			       rank_text(s->usage_rank, s->usage_ranks, rank));
}

static int make_steps(const struct eviction_candidates *v, const struct prune_plan *plan,
		      struct eviction_steps *ret_steps, struct error *e)
{
	struct eviction_steps steps = { .count = plan->count,
					.freed_bytes = plan->freed_bytes,
					.freed_inodes = plan->freed_inodes,
					.remaining_bytes = plan->remaining_bytes };

	steps.items = calloc(plan->count + 1, sizeof(*steps.items));
	if (!steps.items)
		return error_set(e, -ENOMEM, "out of memory for a plan of %zu records",
				 plan->count);
	for (size_t i = 0; i < plan->count; i++) {
		size_t record = plan->steps[i].record;
		struct eviction_planned *p = &steps.items[i];

		memcpy(p->id, v->ids[record], sizeof(p->id));
		p->fingerprint = v->fingerprints[record];
		p->step = plan->steps[i];
		p->record = v->records[record];
		p->expected = v->expected[record];
		p->record.id = NULL; /* it belongs to the candidates */
	}
	*ret_steps = steps;
	return 0;
}

void eviction_steps_free(struct eviction_steps *s)
{
	free(s->items);
	*s = (struct eviction_steps){ 0 };
}

int eviction_steps_rule(const struct eviction_options *o, struct record_filter **ret_filter,
			struct prune_rule *ret_rule, struct error *e)
{
	const struct prune_scorer *scorer = prune_scorer_find(o->scorer ? o->scorer : "");
	int code;

	if (!scorer)
		return error_set(e, -EINVAL,
				 "unknown scorer '%.40s' (scorers: " PRUNE_SCORER_NAMES ")",
				 o->scorer);
	if (!prune_limits_are_valid(&o->limits) || o->keep_duration_ns < 0)
		return error_set(e, -EINVAL,
				 "a limit cannot be negative or larger than the file system");
	code = record_filter_parse(o->filters, o->filter_count, ret_filter, e);
	if (code < 0)
		return code;
	*ret_rule = (struct prune_rule){ .all = o->all,
					 .to_lazy = o->to_lazy,
					 .keep_duration_ns = o->keep_duration_ns,
					 .filter = *ret_filter,
					 .scorer = scorer };
	return 0;
}

/* 0: nothing of what may be evicted. */
static int64_t bytes_to_keep(const struct eviction_options *o, const struct eviction_candidates *v)
{
	if (o->free_bytes > 0)
		return v->used_bytes > o->free_bytes ? v->used_bytes - o->free_bytes : 1;
	return prune_limits_keep(&o->limits, &v->disk, v->used_bytes);
}

int eviction_steps_plan(struct manager *m, const struct eviction_options *o,
			struct eviction_candidates *ret_candidates,
			struct eviction_steps *ret_steps, struct prune_goal *ret_goal,
			struct error *e)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	cleanup(prune_plan_free) struct prune_plan plan = { 0 };
	struct prune_rule rule;
	struct prune_goal goal;
	int64_t keep;
	int code = eviction_steps_rule(o, &filter, &rule, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	code = eviction_candidates_gather(m, &rule, o->cancelled, ret_candidates, e);
	if (code < 0)
		return code;
	keep = bytes_to_keep(o, ret_candidates);
	goal = (struct prune_goal){
		.keep_bytes = keep,
		.free_inodes = prune_limits_free_inodes(&o->limits, &ret_candidates->disk),
		.cancelled = o->cancelled,
	};
	*ret_goal = goal;
	if (keep > 0) /* 0 would mean that all records are evicted */
		goal.keep_bytes =
			keep > ret_candidates->fixed_bytes ? keep - ret_candidates->fixed_bytes : 1;
	code = prune_plan(ret_candidates->records, ret_candidates->count, &goal, rule.scorer, &plan,
			  e);
	if (code < 0)
		return code;
	plan.remaining_bytes += ret_candidates->fixed_bytes;
	code = make_steps(ret_candidates, &plan, ret_steps, e);
	(void)snprintf(ret_steps->by, sizeof(ret_steps->by), "%.40s/%.20s",
		       o->policy ? o->policy : "prune", rule.scorer->name);
	return code;
}
