/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/visible_text.h"
#include "cli/top/top_text.h"

#define PLAN_LINES 2000

struct plan {
	struct strbuf lines, summary;
	size_t count;
	int64_t bytes;
	int64_t now_ns;
};

static void add_step(struct plan *p, const Varve__V1__Pruned *r)
{
	char size[TOP_TEXT_MAX], age[TOP_TEXT_MAX];

	p->count++;
	p->bytes += r->size > 0 ? r->size : 0;
	if (p->count > PLAN_LINES)
		return;
	strbuf_appendf(&p->lines, "%-12.12s %6s %-9s ", r->id, top_text_size(r->size, false, size),
		       top_text_age(r->last_used_ns, p->now_ns, age));
	visible_text_append(&p->lines, r->description, true);
	strbuf_append(&p->lines, "\n");
}

static void add_summary(struct plan *p, const Varve__V1__PruneSummary *summary)
{
	char size[UNITS_TEXT_MAX];

	strbuf_appendf(&p->summary, "%zu records, %s would be freed.\n", p->count,
		       units_format_size(summary->predicted, size));
	if (!summary->goal_reached && summary->shortfall[0]) {
		strbuf_append(&p->summary, "The goal would be missed: ");
		visible_text_append(&p->summary, summary->shortfall, true);
		strbuf_append(&p->summary, "\n");
	}
	if (summary->plan[0])
		strbuf_appendf(&p->summary,
			       "Nothing was deleted. To do so, within an hour: varve prune --plan "
			       "%s\n",
			       summary->plan);
}

static int take_event(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__PruneEvent *event = (const Varve__V1__PruneEvent *)reply;
	struct plan *p = user;

	(void)e;
	if (event->event_case == VARVE__V1__PRUNE_EVENT__EVENT_PRUNED)
		add_step(p, event->pruned);
	else if (event->event_case == VARVE__V1__PRUNE_EVENT__EVENT_SUMMARY)
		add_summary(p, event->summary);
	return 0;
}

static bool is_policy(const struct top_state *s)
{
	for (size_t i = 0; s->policies && i < s->policies->n_policies; i++)
		if (strcmp(s->policies->policies[i]->name, s->input) == 0)
			return true;
	return false;
}

/* False: it is neither a policy nor a size. */
static bool fill_request(struct top_state *s, Varve__V1__PruneRequest *request,
			 Varve__V1__Limits *limits, Varve__V1__Space *max_used)
{
	request->dry_run = true;
	if (is_policy(s)) {
		request->policy = s->input;
		return true;
	}
	max_used->percent = 0;
	if (s->input[0] && s->input[strlen(s->input) - 1] == '%') {
		if (units_parse_share(s->input, &max_used->percent) < 0)
			return false;
		max_used->percent *= 100;
	} else if (units_parse_size(s->input, 0, &max_used->bytes) < 0) {
		return false;
	}
	limits->max_used = max_used;
	request->limits = limits;
	return max_used->bytes > 0 || max_used->percent > 0;
}

void top_plan_make(struct top_feed *f, struct top_state *s)
{
	Varve__V1__PruneRequest request = VARVE__V1__PRUNE_REQUEST__INIT;
	Varve__V1__Limits limits = VARVE__V1__LIMITS__INIT;
	Varve__V1__Space max_used = VARVE__V1__SPACE__INIT;
	cleanup(strbuf_free) struct strbuf page = { 0 };
	struct plan p = { .now_ns = clock_wall_ns() };
	struct error e = { 0 };
	int code;

	if (!fill_request(s, &request, &limits, &max_used)) {
		(void)snprintf(s->notice, sizeof(s->notice),
			       "'%.60s' is neither a size (10G, 50%%) nor the name of a policy",
			       s->input);
		return;
	}
	code = cli_call_each(f->cli, "Prune", &request.base, &varve__v1__prune_event__descriptor,
			     take_event, &p, &e);
	if (code < 0) {
		top_feed_refuse(f, s, code, &e);
	} else {
		strbuf_append(&page,
			      p.summary.text ? p.summary.text : "Nothing would be evicted.\n");
		strbuf_append(&page, "\nID             SIZE LAST USED DESCRIPTION\n");
		strbuf_append(&page, p.lines.text ? p.lines.text : "");
		if (p.count > PLAN_LINES)
			strbuf_appendf(&page, "and %zu more\n", p.count - PLAN_LINES);
		top_state_show_page(s, &page);
	}
	strbuf_free(&p.lines);
	strbuf_free(&p.summary);
}
