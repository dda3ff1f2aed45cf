/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page_policies.h"

#include <errno.h>

#include "base/units.h"

int page_plan_add(struct page_plan *plan, const struct evicted_record *record)
{
	struct page_step *step = &plan->steps[plan->count];

	plan->bytes += record->size_bytes > 0 ? record->size_bytes : 0;
	if (plan->count++ >= PAGE_STEPS)
		return 0;
	*step = (struct page_step){ .description = strdup(record->description),
				    .reason = strdup(record->reason),
				    .size_bytes = record->size_bytes,
				    .last_used_ns = record->last_used_ns };
	memcpy(step->id, record->id, sizeof(step->id));
	return step->description && step->reason ? 0 : -ENOMEM;
}

void page_plan_free(struct page_plan *plan)
{
	for (size_t i = 0; i < plan->count && i < PAGE_STEPS; i++) {
		free(plan->steps[i].description);
		free(plan->steps[i].reason);
	}
}

void page_policies_begin(struct strbuf *out, const struct page_status *s, bool automatic)
{
	page_begin(out, s, "Policies", "/policies");
	page_note(out,
		  automatic ? "Policies run by themselves, in this order. Below is what each "
			      "would evict if it ran now, before those after it."
			    : "Policies do not run by themselves (automatic = no). Below is what "
			      "each would evict if it ran now.");
}

static void append_limit(struct strbuf *line, const char *name, const struct prune_space *space,
			 const struct prune_disk *disk)
{
	char size[UNITS_TEXT_MAX];
	int64_t bytes = prune_space_bytes(space, disk);

	if (bytes > 0)
		strbuf_appendf(line, "%s%s %s", line->length ? ", " : "", name,
			       units_format_size(bytes, size));
}

static void write_rule(struct strbuf *out, const struct eviction_policy_view *v,
		       const struct page_plan *plan)
{
	const struct prune_policy *p = v->policy;
	cleanup(strbuf_free) struct strbuf line = { 0 };
	char duration[UNITS_TEXT_MAX], used[UNITS_TEXT_MAX];

	append_limit(&line, "reserved", &p->limits.reserved, &v->disk);
	append_limit(&line, "at most", &p->limits.max_used, &v->disk);
	append_limit(&line, "free at least", &p->limits.min_free, &v->disk);
	if (p->keep_duration_ns)
		strbuf_appendf(&line, "%sunused for %s", line.length ? ", " : "",
			       units_format_duration(p->keep_duration_ns, duration));
	if (p->all)
		strbuf_append(&line, "; also internal, frontend and shared records");
	strbuf_appendf(&line, "; scorer %s", v->scorer);
	if (!plan->problem)
		strbuf_appendf(&line, "; the store has %s that is not shared",
			       units_format_size(plan->summary.predicted_bytes +
							 plan->summary.remaining_bytes,
						 used));
	for (size_t i = 0; i < p->filter_count; i++)
		strbuf_appendf(&line, "; filter %s", p->filters[i]);
	out->failed |= strbuf_failed(&line);
	if (line.text)
		page_note(out, line.text);
}

static void write_steps(struct strbuf *out, const struct page_status *s,
			const struct page_plan *plan)
{
	static const char *const columns[] = { "ID",	      "#Size",	"Last used",
					       "Description", "Reason", NULL };

	page_table(out, columns);
	for (size_t i = 0; i < plan->count && i < PAGE_STEPS; i++) {
		const struct page_step *step = &plan->steps[i];

		page_row(out);
		page_cell_record(out, step->id, true);
		page_cell_size(out, step->size_bytes);
		page_cell_age(out, s, step->last_used_ns, true);
		page_cell(out, step->description);
		page_cell(out, step->reason);
	}
	page_table_end(out);
}

static void write_plan(struct strbuf *out, const struct page_status *s,
		       const struct page_plan *plan)
{
	char size[UNITS_TEXT_MAX];

	if (plan->problem) {
		page_note(out, plan->problem);
		return;
	}
	if (plan->count == 0) {
		page_note(out, "It would evict nothing.");
	} else {
		strbuf_appendf(out, "<p>It would evict %zu record%s, %s.%s</p>\n", plan->count,
			       plan->count == 1 ? "" : "s", units_format_size(plan->bytes, size),
			       plan->count > PAGE_STEPS ? " The first 100 are:" : "");
		write_steps(out, s, plan);
	}
	if (!plan->summary.goal_reached && *plan->summary.shortfall)
		page_note(out, plan->summary.shortfall);
}

void page_policies_add(struct strbuf *out, const struct page_status *s,
		       const struct eviction_policy_view *policy, const struct page_plan *plan)
{
	page_heading(out, policy->policy->name);
	write_rule(out, policy, plan);
	write_plan(out, s, plan);
}
