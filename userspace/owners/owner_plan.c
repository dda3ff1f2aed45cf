/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

static int make_step(const struct owner_view *v, const struct prune_step *step,
		     struct owner_step *ret_step)
{
	const Moby__Buildkit__V1__UsageRecord *said = v->answer.records[step->record].said;
	const struct prune_record *p = &v->records[step->record];
	const struct eviction_owned *layer = v->layer_of[step->record];
	struct owner_step *s = ret_step;

	*s = (struct owner_step){
		.id = strdup(said->id),
		.parent = strdup(p->parent == PRUNE_NO_PARENT ? "" : v->records[p->parent].id),
		.description = strdup(said->description),
		.type = strdup(said->record_type),
		.is_mutable = said->mutable_,
		.shared = said->shared,
		.created_ns = layer->record.created_ns,
		.planned = { .fingerprint = layer->fingerprint,
			     .step = *step,
			     .record = *p,
			     .expected = layer->expected },
	};
	s->planned.record.id = NULL;
	s->planned.record.parent = PRUNE_NO_PARENT;
	memcpy(s->record, layer->id, sizeof(s->record));
	memcpy(s->layer, layer->layer, sizeof(s->layer));
	return s->id && s->parent && s->description && s->type ? 0 : -ENOMEM;
}

static int make_steps(const struct owner_view *v, const struct prune_plan *planned,
		      struct owner_plan *plan, struct error *e)
{
	plan->freed_bytes = planned->freed_bytes;
	plan->remaining_bytes = planned->remaining_bytes;
	plan->freed_inodes = planned->freed_inodes;
	plan->steps = calloc(planned->count + 1, sizeof(*plan->steps));
	if (!plan->steps)
		return error_set(e, -ENOMEM, "out of memory for a plan of %zu records",
				 planned->count);
	for (size_t i = 0; i < planned->count; i++) {
		plan->count++;
		if (make_step(v, &planned->steps[i], &plan->steps[i]) < 0)
			return error_set(e, -ENOMEM, "out of memory for a plan of %zu records",
					 planned->count);
	}
	return 0;
}

int owner_plan_make(const struct owner_view *v, const struct owner_settings *o,
		    const struct eviction_options *options, const struct prune_scorer *scorer,
		    struct owner_plan *ret_plan, struct prune_goal *ret_goal, struct error *e)
{
	cleanup(owner_plan_free) struct owner_plan plan = { .owner = strdup(o->name),
							    .all = options->all };
	cleanup(prune_plan_free) struct prune_plan planned = { 0 };
	struct prune_disk disk = v->layers.disk;
	struct prune_goal goal;
	int code;

	if (!plan.owner)
		return error_set(e, -ENOMEM, "out of memory");
	disk.store_inodes = v->disk_inodes;
	goal = (struct prune_goal){
		.keep_bytes = prune_limits_keep(&options->limits, &disk, v->used_bytes),
		.free_inodes = prune_limits_free_inodes(&options->limits, &disk),
		.cancelled = options->cancelled,
	};
	code = prune_plan(v->records, v->count, &goal, scorer, &planned, e);
	if (code < 0)
		return code;
	code = make_steps(v, &planned, &plan, e);
	if (code < 0)
		return code;
	*ret_goal = goal;
	*ret_plan = plan;
	plan = (struct owner_plan){ 0 };
	return 0;
}

void owner_plan_free(struct owner_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->steps[i].id);
		free(plan->steps[i].parent);
		free(plan->steps[i].description);
		free(plan->steps[i].type);
	}
	free(plan->steps);
	free(plan->owner);
	*plan = (struct owner_plan){ 0 };
}

static void add_reason(char *text, size_t size, int64_t bytes, const char *why)
{
	char amount[UNITS_TEXT_MAX];
	size_t used = strlen(text);

	if (bytes > 0 && used < size)
		(void)snprintf(text + used, size - used, "%s%s %s", used ? ", " : "",
			       units_format_size(bytes, amount), why);
}

void owner_plan_explain_shortfall(const struct owner_view *v, int64_t refused_bytes,
				  struct eviction_summary *s)
{
	char amount[UNITS_TEXT_MAX], reasons[200] = "";

	for (int keep = OWNER_KEEP_NOT + 1; v && keep < OWNER_KEEP_COUNT; keep++)
		add_reason(reasons, sizeof(reasons), v->kept_bytes[keep],
			   owner_view_reason((enum owner_keep)keep));
	add_reason(reasons, sizeof(reasons), refused_bytes, "refused by the owner");
	(void)snprintf(s->shortfall, sizeof(s->shortfall), "%s over the limit remain: %s",
		       units_format_size(s->missed_bytes, amount),
		       *reasons ? reasons : "all of it lies below records that are kept");
}
