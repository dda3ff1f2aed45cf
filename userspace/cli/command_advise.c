/* SPDX-License-Identifier: Apache-2.0 */
/* What other scorers would have made again of what this host has seen. Changes nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli_call.h"
#include "cli/cli_history.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "simulate/trace_replay.h"
#include "varve.pb-c.h"

#define DAY_NS (24 * 3600 * NS_PER_S)
#define USUAL_DAYS 28
/* Less of a difference is none. */
#define CLEARLY 0.95

enum option { OPTION_SINCE, OPTION_KEEP_STORAGE, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_SINCE] = { 0, "since", "TIME", "how far to look back (28d)" },
	[OPTION_KEEP_STORAGE] = { 0, "keep-storage", "SIZE",
				  "the limit to replay with, instead of the policies'" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_SCORER,
	COLUMN_RECREATED,
	COLUMN_SECONDS,
	COLUMN_EVICTED,
	COLUMN_POLICIES,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_SCORER] = { "SCORER", "the scorer", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_RECREATED] = { "RE-CREATED", "bytes that it would have had to make again",
			       OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_SECONDS] = { "IN", "time that making them again would have taken",
			     OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_EVICTED] = { "EVICTED", "records that it would have evicted", OUTPUT_TABLE_RIGHT,
			     0 },
	[COLUMN_POLICIES] = { "POLICIES", "policies that have this scorer now", OUTPUT_TABLE_LEFT,
			      0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct advice {
	double byte_s; /* what a byte is worth, in seconds */
	struct cli *c;
	Varve__V1__PolicyReply *policies;
	int64_t since_ns, limit_bytes; /* 0: that of the policies */
	double days;
	struct trace_replay replays[PRUNE_SCORERS];
	size_t best;
};

static int read_options(struct advice *a, struct error *e)
{
	struct cli *c = a->c;

	a->since_ns = clock_wall_ns() - USUAL_DAYS * DAY_NS;
	for (size_t i = 0; i < c->line.given_count; i++) {
		const struct cli_given *given = &c->line.given[i];
		int64_t duration;

		if (given->option == OPTION_KEEP_STORAGE) {
			if (units_parse_size(given->value, 0, &a->limit_bytes) < 0 ||
			    a->limit_bytes <= 0)
				return cli_usage(c, e, "invalid size '%s' (examples: 10G, 500MB)",
						 given->value);
		} else if (units_parse_duration(given->value, &duration) == 0) {
			a->since_ns = clock_wall_ns() - duration;
		} else if (units_parse_time(given->value, &a->since_ns) < 0) {
			return cli_usage(c, e,
					 "invalid time '%s' (examples: 7d, 2024-05-01T10:00:00Z)",
					 given->value);
		}
	}
	if (c->line.globals.quiet)
		return cli_usage(c, e, "-q prints ids, and advice has none");
	return 0;
}

/* The smallest limit of the policies that are for all records. */
static int find_limit(struct advice *a, struct error *e)
{
	for (size_t i = 0; a->limit_bytes == 0 && i < a->policies->n_policies; i++) {
		const Varve__V1__Policy *p = a->policies->policies[i];
		int64_t limit = p->keep > 0 && p->keep < INT64_MAX ? p->keep : p->max_used;

		if (p->n_filters > 0 || limit <= 0)
			continue;
		if (a->limit_bytes == 0 || limit < a->limit_bytes)
			a->limit_bytes = limit;
	}
	return a->limit_bytes > 0 ? 0
				  : error_set(e, -EINVAL,
					      "no policy has a limit for all records: name one "
					      "(--keep-storage)");
}

/* What a byte is worth in seconds, as in the scorer forecast. */
static double find_byte_s(const struct trace *t)
{
	double seconds = 0, bytes = 0;

	for (size_t i = 0; i < t->record_count; i++)
		if (t->records[i].cost_s > 0) {
			seconds += t->records[i].cost_s;
			bytes += (double)t->records[i].size_bytes;
		}
	return prune_score_byte_s(seconds, bytes);
}

static double loss_s(const struct trace_replay *r, double byte_s)
{
	return r->recreated_s + r->recreated_bytes * byte_s;
}

static int replay(struct advice *a, const struct trace *trace, struct error *e)
{
	a->byte_s = find_byte_s(trace);
	for (size_t i = 0; i < PRUNE_SCORERS; i++) {
		int code = trace_replay(trace, a->limit_bytes, prune_scorers[i], &a->replays[i], e);

		if (code < 0)
			return code;
		if (loss_s(&a->replays[i], a->byte_s) < loss_s(&a->replays[a->best], a->byte_s))
			a->best = i;
	}
	/* Of scorers that are as good, the default one. */
	for (size_t i = 0; i < PRUNE_SCORERS; i++)
		if (strcmp(prune_scorers[i]->name, prune_scorer_name("")) == 0 &&
		    loss_s(&a->replays[a->best], a->byte_s) >=
			    CLEARLY * loss_s(&a->replays[i], a->byte_s))
			a->best = i;
	return 0;
}

static void list_policies(const struct advice *a, size_t scorer, struct strbuf *names)
{
	for (size_t i = 0; i < a->policies->n_policies; i++)
		if (strcmp(a->policies->policies[i]->scorer, prune_scorers[scorer]->name) == 0)
			strbuf_appendf(names, "%s%s", names->length ? "," : "",
				       a->policies->policies[i]->name);
}

/* How much less the best scorer makes again than this one. */
static double saving(const struct advice *a, size_t scorer)
{
	double loss = loss_s(&a->replays[scorer], a->byte_s);

	return loss > 0 ? 1 - loss_s(&a->replays[a->best], a->byte_s) / loss : 0;
}

/* ---- output ---- */

static void print_json(const struct advice *a)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_double(&w, "days", a->days);
	json_put_int(&w, "limit", a->limit_bytes);
	json_put_string(&w, "best", prune_scorers[a->best]->name);
	json_open_array(&w, "scorers");
	for (size_t i = 0; i < PRUNE_SCORERS; i++) {
		cleanup(strbuf_free) struct strbuf names = { 0 };

		list_policies(a, i, &names);
		json_open_object(&w, NULL);
		json_put_string(&w, "scorer", prune_scorers[i]->name);
		json_put_int(&w, "recreatedBytes", (int64_t)a->replays[i].recreated_bytes);
		json_put_double(&w, "recreatedSeconds", a->replays[i].recreated_s);
		json_put_uint(&w, "evicted", a->replays[i].evicted);
		json_put_string(&w, "policies", names.text);
		json_put_double(&w, "saving", saving(a, i));
		json_close_object(&w);
	}
	json_close_array(&w);
	json_close_object(&w);
	output_json_line(&a->c->out, &w);
}

static void print_table(const struct advice *a, struct output_table *t)
{
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < PRUNE_SCORERS; i++) {
		cleanup(strbuf_free) struct strbuf names = { 0 };

		list_policies(a, i, &names);
		output_table_row(t, NULL);
		output_table_text(t, COLUMN_SCORER, prune_scorers[i]->name);
		output_table_size(t, COLUMN_RECREATED, (int64_t)a->replays[i].recreated_bytes, "");
		output_table_text(t, COLUMN_SECONDS,
				  a->replays[i].recreated_s > 0
					  ? units_format_about(a->replays[i].recreated_s, text)
					  : "0 s");
		output_table_count(t, COLUMN_EVICTED, a->replays[i].evicted, true);
		output_table_text(t, COLUMN_POLICIES, names.text);
	}
	output_table_print(t);
}

/* A sentence for each scorer that some policy has. */
static void print_advice(const struct advice *a)
{
	const char *best = prune_scorers[a->best]->name;

	for (size_t i = 0; i < PRUNE_SCORERS; i++) {
		cleanup(strbuf_free) struct strbuf text = { 0 };
		const char *name = prune_scorers[i]->name;

		list_policies(a, i, &text);
		if (text.length == 0)
			continue;
		if (i == a->best || saving(a, i) < 1 - CLEARLY)
			strbuf_appendf(&text, ": no scorer makes clearly less again than %s", name);
		else
			strbuf_appendf(&text, ": %s makes %.0f %% less again than %s (scorer = %s)",
				       best, 100 * saving(a, i), name, best);
		output_text(&a->c->out, strbuf_failed(&text) ? "" : text.text);
	}
}

static int print(const struct advice *a, struct error *e)
{
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&a->c->out, columns, "SCORER,RE-CREATED,IN,EVICTED,POLICIES");
	char size[UNITS_TEXT_MAX], span[UNITS_TEXT_MAX], title[120];

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	if (a->c->line.globals.json) {
		print_json(a);
		return 0;
	}
	(void)snprintf(title, sizeof(title), "On your last %s, with a limit of %s:",
		       units_format_about(a->days * 86400, span),
		       output_size(&a->c->out, a->limit_bytes, size));
	output_text(&a->c->out, title);
	print_table(a, table);
	if (a->replays[a->best].evicted == 0)
		output_text(&a->c->out, "Nothing would have been evicted.");
	else
		print_advice(a);
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__PolicyReply *policies = NULL;
	cleanup(trace_free) struct trace trace = { .events = NULL };
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;
	struct advice a = { .c = c };

	if (read_options(&a, e) < 0)
		return e->code;
	policies =
		cli_call_one(c, "PolicyList", &empty.base, &varve__v1__policy_reply__descriptor, e);
	if (!policies)
		return e->code;
	a.policies = policies;
	if (find_limit(&a, e) < 0 || cli_history_trace(c, a.since_ns, &trace, e) < 0)
		return e->code;
	if (trace.event_count > 0)
		a.days = (double)(trace.events[trace.event_count - 1].time_ns -
				  trace.events[0].time_ns) /
			 (double)DAY_NS;
	if (replay(&a, &trace, e) < 0)
		return e->code;
	return print(&a, e);
}

const struct cli_verb command_policy_advise = {
	.name = "policy advise",
	.arguments = "",
	.summary = "show what other scorers would have made again",
	.details =
		"Replays what the agent has seen of this host with each scorer, at the limit of\n"
		"the policies. Changes nothing.",
	.options = options,
	.columns = columns,
	.run = run,
};
