/* SPDX-License-Identifier: Apache-2.0 */
/* Works on files and needs no agent, except for --history. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/cli_history.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "simulate/saved_state.h"
#include "simulate/trace_replay.h"

enum option {
	OPTION_STATE,
	OPTION_TRACE,
	OPTION_HISTORY,
	OPTION_KEEP_STORAGE,
	OPTION_SCORER,
	OPTION_POLICY,
	OPTION_ALL, /* this and the following are for --state only: see is_for_states() */
	OPTION_FILTER,
	OPTION_KEEP_DURATION,
	OPTION_NOW,
	OPTION_END,
};

static const struct cli_option options[] = {
	[OPTION_STATE] = { 0, "state", "FILE",
			   "plan with the output of du --json; - is standard input" },
	[OPTION_TRACE] = { 0, "trace", "FILE", "replay a workload with each scorer" },
	[OPTION_HISTORY] = { 0, "history", NULL,
			     "replay what the agent has seen with each scorer" },
	[OPTION_KEEP_STORAGE] = { 0, "keep-storage", "SIZE", "stop when this much is left (10G)" },
	[OPTION_SCORER] = { 0, "scorer", "NAME", "ranks records: " PRUNE_SCORER_NAMES },
	[OPTION_POLICY] = { 0, "policy", "NAME", "same as --scorer" },
	[OPTION_ALL] = { 'a', "all", NULL, "include internal, frontend and shared records" },
	[OPTION_FILTER] = { 0, "filter", "FILTER", "only matching records; may be repeated" },
	[OPTION_KEEP_DURATION] = { 0, "keep-duration", "TIME",
				   "only records unused for this long (72h, 7d)" },
	[OPTION_NOW] = { 0, "now", "TIME", "the time to plan for (2024-05-01T10:00:00Z)" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_SCORER,
	COLUMN_HITS,
	COLUMN_BYTE_HITS,
	COLUMN_RECREATED,
	COLUMN_SECONDS,
	COLUMN_EVICTED,
	COLUMN_MOST,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_SCORER] = { "SCORER", "the scorer that ranked the records", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_HITS] = { "HITS", "share of uses that found their record", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_BYTE_HITS] = { "BYTE HITS", "share of their bytes", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_RECREATED] = { "RE-CREATED", "bytes that had to be created again",
			       OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_SECONDS] = { "IN", "seconds that it took to create them again", OUTPUT_TABLE_RIGHT,
			     0 },
	[COLUMN_EVICTED] = { "EVICTED", "number of evicted records", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_MOST] = { "MOST KEPT", "the most bytes in the store at any time",
			  OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct simulation {
	const char *state, *trace; /* NULL: not given */
	bool history;
	struct saved_state_options options;
};

static bool is_for_states(int option)
{
	return option >= OPTION_ALL;
}

static int read_option(struct cli *c, const struct cli_given *given, struct simulation *s,
		       const char **filters, struct error *e)
{
	struct saved_state_options *o = &s->options;
	const char *value = given->value;

	switch ((enum option)given->option) {
	case OPTION_STATE:
		s->state = value;
		break;
	case OPTION_TRACE:
		s->trace = value;
		break;
	case OPTION_HISTORY:
		s->history = true;
		break;
	case OPTION_KEEP_STORAGE:
		if (units_parse_size(value, 0, &o->keep_bytes) < 0)
			return cli_usage(c, e,
					 "invalid size '%s' (examples: 10G, 500MB); there is no "
					 "file system to take a share of",
					 value);
		break;
	case OPTION_SCORER:
	case OPTION_POLICY:
		if (!prune_scorer_find(value))
			return cli_usage(c, e, "unknown scorer '%s' (" PRUNE_SCORER_NAMES ")",
					 value);
		o->scorer = value;
		break;
	case OPTION_ALL:
		o->all = true;
		break;
	case OPTION_FILTER:
		filters[o->filter_count++] = value;
		break;
	case OPTION_KEEP_DURATION:
		if (units_parse_duration(value, &o->keep_duration_ns) < 0)
			return cli_usage(c, e, "invalid duration '%s' (examples: 15m, 72h, 7d)",
					 value);
		break;
	case OPTION_NOW:
		if (units_parse_time(value, &o->now_ns) < 0)
			return cli_usage(c, e, "invalid time '%s' (example: 2024-05-01T10:00:00Z)",
					 value);
		break;
	case OPTION_END:
		break;
	}
	return 0;
}

static int check_options(struct cli *c, const struct simulation *s, struct error *e)
{
	if ((s->state != NULL) + (s->trace != NULL) + s->history != 1)
		return cli_usage(c, e, "needs either --state, --trace or --history");
	if (s->state)
		return c->out.columns ? cli_usage(c, e, "-o is for the table of --trace") : 0;
	if (s->options.keep_bytes <= 0)
		return cli_usage(c, e, "--%s needs a limit (--keep-storage)",
				 s->history ? "history" : "trace");
	if (c->line.globals.quiet)
		return cli_usage(c, e, "-q prints the ids of --state and is not for --trace");
	for (size_t i = 0; i < c->line.given_count; i++)
		if (is_for_states(c->line.given[i].option))
			return cli_usage(c, e, "--%s is for --state only",
					 options[c->line.given[i].option].name);
	return 0;
}

/* ---- a state ---- */

static void print_step(struct cli *c, struct json_writer *w, const struct saved_state_step *step)
{
	if (!c->line.globals.json) {
		output_text(&c->out, step->id);
		return;
	}
	json_open_object(w, NULL);
	json_put_string(w, "id", step->id);
	output_json_size(w, "size", step->size_bytes);
	json_put_double(w, "score", step->score);
	json_close_object(w);
	output_json_line(&c->out, w);
}

static int run_state(struct cli *c, const struct simulation *s, struct error *e)
{
	cleanup(saved_state_free) struct saved_state *state = NULL;
	cleanup(free_ptr) struct saved_state_step *steps = NULL;
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };
	int64_t remaining;
	size_t count;
	int code = saved_state_read(s->state, &state, e);

	if (code < 0)
		return code;
	code = saved_state_plan(state, &s->options, &steps, &count, &remaining, e);
	if (code < 0)
		return code;
	for (size_t i = 0; i < count; i++)
		print_step(c, &w, &steps[i]);
	return 0;
}

/* ---- a trace ---- */

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static void print_replay(struct cli *c, struct output_table *t, const char *name,
			 const struct trace_replay *r)
{
	double hits = ratio((double)r->hits, (double)r->uses);
	double byte_hits = ratio(r->hit_bytes, r->use_bytes);
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };
	char text[UNITS_TEXT_MAX];

	if (c->line.globals.json) {
		json_open_object(&w, NULL);
		json_put_string(&w, "scorer", name);
		json_put_uint(&w, "uses", r->uses);
		json_put_uint(&w, "hits", r->hits);
		json_put_double(&w, "hitRatio", hits);
		json_put_double(&w, "byteHitRatio", byte_hits);
		json_put_int(&w, "recreatedBytes", (int64_t)r->recreated_bytes);
		json_put_double(&w, "recreatedSeconds", r->recreated_s);
		json_put_uint(&w, "evicted", r->evicted);
		json_put_int(&w, "mostBytes", r->most_bytes);
		json_close_object(&w);
		output_json_line(&c->out, &w);
		return;
	}
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_SCORER, name);
	(void)snprintf(text, sizeof(text), "%.2f%%", 100 * hits);
	output_table_text(t, COLUMN_HITS, r->uses > 0 ? text : NULL);
	(void)snprintf(text, sizeof(text), "%.2f%%", 100 * byte_hits);
	output_table_text(t, COLUMN_BYTE_HITS, r->uses > 0 ? text : NULL);
	output_table_size(t, COLUMN_RECREATED, (int64_t)r->recreated_bytes, "");
	(void)snprintf(text, sizeof(text), "%.0f s", r->recreated_s);
	output_table_text(t, COLUMN_SECONDS, text);
	output_table_count(t, COLUMN_EVICTED, r->evicted, true);
	output_table_size(t, COLUMN_MOST, r->most_bytes, "");
}

static void print_bound(struct cli *c, struct output_table *t, double recreated_bytes)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	if (c->line.globals.json) {
		json_open_object(&w, NULL);
		json_put_string(&w, "scorer", "bound");
		json_put_int(&w, "recreatedBytes", (int64_t)recreated_bytes);
		json_close_object(&w);
		output_json_line(&c->out, &w);
		return;
	}
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_SCORER, "bound");
	output_table_text(t, COLUMN_HITS, NULL);
	output_table_text(t, COLUMN_BYTE_HITS, NULL);
	output_table_size(t, COLUMN_RECREATED, (int64_t)recreated_bytes, "");
	output_table_text(t, COLUMN_SECONDS, NULL);
	output_table_text(t, COLUMN_EVICTED, NULL);
	output_table_text(t, COLUMN_MOST, NULL);
}

static int run_trace(struct cli *c, const struct simulation *s, struct error *e)
{
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&c->out, columns, "SCORER,HITS,BYTE HITS,RE-CREATED,IN,EVICTED");
	cleanup(trace_free) struct trace trace = { .events = NULL };
	int64_t limit_bytes = s->options.keep_bytes;
	struct trace_replay replay;
	double bound;

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	if (s->history ? cli_history_trace(c, 0, &trace, e) < 0
		       : trace_read(s->trace, &trace, e) < 0)
		return e->code;
	for (size_t i = 0; i < PRUNE_SCORERS; i++) {
		const char *name = prune_scorers[i]->name;

		if (*s->options.scorer && strcmp(s->options.scorer, name) != 0)
			continue;
		if (trace_replay(&trace, limit_bytes, prune_scorers[i], &replay, e) < 0)
			return e->code;
		print_replay(c, table, name, &replay);
	}
	if (trace_replay_clairvoyant(&trace, limit_bytes, &replay, e) < 0)
		return e->code;
	print_replay(c, table, "clairvoyant", &replay);
	if (trace_bound(&trace, limit_bytes, &bound, e) < 0)
		return e->code;
	print_bound(c, table, bound);
	if (!c->line.globals.json)
		output_table_print(table);
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_ptr) const char **filters = calloc(c->line.given_count + 1, sizeof(*filters));
	struct simulation s = { .options = { .scorer = "", .now_ns = clock_wall_ns() } };

	if (!filters)
		return error_set(e, -ENOMEM, "out of memory for the command line");
	s.options.filters = filters;
	for (size_t i = 0; i < c->line.given_count; i++)
		if (read_option(c, &c->line.given[i], &s, filters, e) < 0)
			return e->code;
	if (check_options(c, &s, e) < 0)
		return e->code;
	return s.state ? run_state(c, &s, e) : run_trace(c, &s, e);
}

const struct cli_verb command_simulate = {
	.name = "simulate",
	.arguments = "",
	.summary = "plan an eviction without an agent, or compare scorers",
	.details =
		"With --state, prints the ids of the records that would be evicted, in that order.\n"
		"With --trace, compares the scorers with an evictor that knows the future, and with\n"
		"the bound that no evictor can beat. With --history, does that for what the agent\n"
		"has seen (varve history).",
	.options = options,
	.columns = columns,
	.run = run,
};
