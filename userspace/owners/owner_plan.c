/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

static bool is_image(const struct owner_view *v, size_t record)
{
	return v->answer.records[record].image;
}

static void add_layer(struct owner_step *s, const struct eviction_owned *layer, int64_t bytes)
{
	struct owner_step_layer *l = &s->layers[s->layer_count++];

	l->fingerprint = layer->fingerprint;
	l->size_bytes = bytes;
	memcpy(l->record, layer->id, sizeof(l->record));
	memcpy(l->layer, layer->layer, sizeof(l->layer));
}

struct collecting {
	const struct owner_view *v;
	struct owner_step *step;
};

static void collect(size_t layer, int64_t bytes, void *user)
{
	const struct collecting *c = user;

	add_layer(c->step, &c->v->layers.items[layer], bytes);
}

static size_t count_layers(const struct owner_view *v, size_t record)
{
	const struct image_tops_found *image = &v->images[record];
	size_t count = 1;

	for (size_t i = 0; i < image->count; i++)
		for (size_t at = image->tops[i]; at != PRUNE_NO_PARENT;
		     at = v->layers.items[at].below)
			count++;
	return count;
}

/* From here on the image counts as removed: images after it may free more than they would now. */
static int describe_image(const struct owner_view *v, size_t record, struct owner_step *s)
{
	const struct owner_record *r = &v->answer.records[record];
	struct collecting c = { v, s };
	struct prune_record *p = &s->planned.record;

	s->namespace = strdup(r->namespace);
	s->digest = strdup(r->image->digest);
	s->tags = calloc(r->image->tag_count + 1, sizeof(*s->tags));
	if (!s->namespace || !s->digest || !s->tags)
		return -ENOMEM;
	for (; s->tag_count < r->image->tag_count; s->tag_count++) {
		s->tags[s->tag_count] = strdup(r->image->tags[s->tag_count]);
		if (!s->tags[s->tag_count])
			return -ENOMEM;
	}
	s->created_ns = r->image->pulled_ns;
	image_space_remove(v->space, record, &p->size_bytes, &p->inodes, collect, &c);
	if (s->layer_count == 0) /* it frees nothing: its top tells whether it was used */
		add_layer(s, &v->layers.items[v->images[record].tops[0]], 0);
	return 0;
}

static void describe_cached(const struct owner_view *v, size_t record, struct owner_step *s)
{
	const struct eviction_owned *layer = v->layer_of[record];

	s->created_ns = layer->record.created_ns;
	s->planned.expected = layer->expected;
	add_layer(s, layer, v->records[record].size_bytes);
}

static int make_step(const struct owner_view *v, const struct prune_step *step,
		     struct owner_step *ret_step)
{
	const Moby__Buildkit__V1__UsageRecord *said = v->answer.records[step->record].said;
	const struct prune_record *p = &v->records[step->record];
	struct owner_step *s = ret_step;
	int code = 0;

	*s = (struct owner_step){
		.id = strdup(said->id),
		.parent = strdup(p->parent == PRUNE_NO_PARENT ? "" : v->records[p->parent].id),
		.description = strdup(said->description),
		.type = strdup(said->record_type),
		.is_mutable = said->mutable_,
		.shared = said->shared,
		.layers = calloc(count_layers(v, step->record), sizeof(*s->layers)),
		.planned = { .step = *step, .record = *p },
	};
	s->planned.record.id = NULL;
	s->planned.record.parent = PRUNE_NO_PARENT;
	if (!s->id || !s->parent || !s->description || !s->type || !s->layers)
		return -ENOMEM;
	if (is_image(v, step->record))
		code = describe_image(v, step->record, s);
	else
		describe_cached(v, step->record, s);
	return code;
}

static bool is_reached(const struct owner_plan *plan, const struct prune_goal *goal)
{
	return goal->keep_bytes > 0 && plan->remaining_bytes < goal->keep_bytes &&
	       plan->freed_inodes >= goal->free_inodes;
}

/* Takes steps until the goal is reached. With images a plan has more steps than it needs: what an
 * image frees depends on those that went before it. */
static int make_steps(const struct owner_view *v, const struct prune_plan *planned,
		      const struct prune_goal *goal, struct owner_plan *plan, struct error *e)
{
	plan->remaining_bytes = v->used_bytes;
	plan->steps = calloc(planned->count + 1, sizeof(*plan->steps));
	if (!plan->steps)
		return error_set(e, -ENOMEM, "out of memory for a plan of %zu records",
				 planned->count);
	for (size_t i = 0; i < planned->count && !is_reached(plan, goal); i++) {
		struct owner_step *s = &plan->steps[plan->count++];

		if (make_step(v, &planned->steps[i], s) < 0)
			return error_set(e, -ENOMEM, "out of memory for a plan of %zu records",
					 planned->count);
		if (s->planned.record.shared)
			continue;
		plan->freed_bytes += s->planned.record.size_bytes;
		plan->remaining_bytes -= s->planned.record.size_bytes;
		plan->freed_inodes += s->planned.record.inodes;
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
	const struct prune_goal everything = { .cancelled = options->cancelled };
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
	code = prune_plan(v->records, v->count, v->space ? &everything : &goal, scorer, &planned,
			  e);
	if (code < 0)
		return code;
	code = make_steps(v, &planned, &goal, &plan, e);
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
		for (size_t k = 0; k < plan->steps[i].tag_count; k++)
			free(plan->steps[i].tags[k]);
		free(plan->steps[i].tags);
		free(plan->steps[i].namespace);
		free(plan->steps[i].digest);
		free(plan->steps[i].layers);
	}
	free(plan->steps);
	free(plan->owner);
	*plan = (struct owner_plan){ 0 };
}

bool owner_step_is_stale(struct manager *m, const struct owner_step *s)
{
	for (size_t i = 0; i < s->layer_count; i++)
		if (eviction_owned_fingerprint(m, s->layers[i].record) != s->layers[i].fingerprint)
			return true;
	return false;
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
