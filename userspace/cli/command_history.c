/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli_call.h"
#include "cli/cli_history.h"
#include "cli/cli_since.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum option { OPTION_SINCE, OPTION_EXPORT, OPTION_NAMES, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_SINCE] = { 0, "since", "TIME",
			   "only what happened after this time, or for so long (7d)" },
	[OPTION_EXPORT] = { 0, "export", NULL, "print a trace for simulate --trace" },
	[OPTION_NAMES] = { 0, "names", NULL,
			   "with --export: keep digests instead of hashing them" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_TIME,
	COLUMN_EVENT,
	COLUMN_RECORD,
	COLUMN_LAYER,
	COLUMN_SIZE,
	COLUMN_COST,
	COLUMN_BY,
	COLUMN_REGRET,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_TIME] = { "TIME", "when it happened", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_EVENT] = { "EVENT", "made, needed, evicted or removed", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_RECORD] = { "RECORD", "id of the record", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_LAYER] = { "LAYER", "name of the layer in the store", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_SIZE] = { "SIZE", "size of the layer", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_COST] = { "COST", "time that it took to make", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_BY] = { "BY", "policy and scorer of the eviction", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_REGRET] = { "REGRET", "how long after its eviction it was made again",
			    OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct history {
	struct cli *c;
	struct output_table *table;
	Varve__V1__HistoryRequest request;
	bool export, names;
};

static void print_json(struct output *o, const Varve__V1__HistoryEvent *event)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	output_json_time(&w, "time", event->time_ns);
	json_put_string(&w, "event", event->event);
	json_put_string(&w, "layer", event->layer);
	json_put_string(&w, "record", *event->record ? event->record : NULL);
	json_put_string(&w, "identity", *event->identity ? event->identity : NULL);
	json_put_string(&w, "below", *event->below ? event->below : NULL);
	output_json_size(&w, "size", event->size);
	if (event->cost_ns > 0)
		json_put_double(&w, "cost", (double)event->cost_ns / NS_PER_S);
	else
		json_put_null(&w, "cost");
	json_put_string(&w, "by", *event->by ? event->by : NULL);
	if (event->regret_ns > 0)
		json_put_double(&w, "regretAfter", (double)event->regret_ns / NS_PER_S);
	else
		json_put_null(&w, "regretAfter");
	json_close_object(&w);
	output_json_line(o, &w);
}

static void fill_row(struct history *h, const Varve__V1__HistoryEvent *event)
{
	struct output_table *t = h->table;
	char text[2 * UNITS_TEXT_MAX];

	output_table_row(t, NULL);
	output_table_text(t, COLUMN_TIME, output_time(&h->c->out, event->time_ns, text));
	output_table_text(t, COLUMN_EVENT, event->event);
	if (*event->record)
		output_table_id(t, COLUMN_RECORD, event->record, "");
	else
		output_table_text(t, COLUMN_RECORD, NULL);
	output_table_text(t, COLUMN_LAYER, event->layer);
	output_table_size(t, COLUMN_SIZE, event->size, "");
	output_table_text(t, COLUMN_COST,
			  event->cost_ns > 0
				  ? units_format_about((double)event->cost_ns / NS_PER_S, text)
				  : NULL);
	output_table_text(t, COLUMN_BY, *event->by ? event->by : NULL);
	output_table_text(t, COLUMN_REGRET,
			  event->regret_ns > 0
				  ? units_format_about((double)event->regret_ns / NS_PER_S, text)
				  : NULL);
}

static int print_batch(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__HistoryBatch *batch = (const Varve__V1__HistoryBatch *)reply;
	struct history *h = user;

	(void)e;
	for (size_t i = 0; i < batch->n_events; i++) {
		if (h->c->line.globals.json)
			print_json(&h->c->out, batch->events[i]);
		else if (h->c->line.globals.quiet)
			output_text(&h->c->out, batch->events[i]->layer);
		else
			fill_row(h, batch->events[i]);
	}
	return 0;
}

static int read_options(struct history *h, struct error *e)
{
	struct cli *c = h->c;

	for (size_t i = 0; i < c->line.given_count; i++) {
		const struct cli_given *given = &c->line.given[i];

		if (given->option == OPTION_EXPORT)
			h->export = true;
		else if (given->option == OPTION_NAMES)
			h->names = true;
		else if (cli_since_parse(c, given->value, &h->request.since_ns, e) < 0)
			return e->code;
	}
	if (h->names && !h->export)
		return cli_usage(c, e, "--names is for --export");
	if (h->export && (c->line.word_count > 0 || c->line.globals.quiet || c->out.columns))
		return cli_usage(c, e,
				 "--export prints the trace of the whole store: it takes "
				 "neither an ID, nor -q, nor -o");
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&c->out, columns, "TIME,EVENT,RECORD,LAYER,SIZE,COST,BY,REGRET");
	struct history h = { .c = c, .table = table, .request = VARVE__V1__HISTORY_REQUEST__INIT };
	int code;

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	code = read_options(&h, e);
	if (code < 0)
		return code;
	if (h.export)
		return cli_history_export(c, h.request.since_ns, h.names, stdout, e);
	if (c->line.word_count > 0)
		h.request.id = c->line.words[0];
	code = cli_call_each(c, "History", &h.request.base, &varve__v1__history_batch__descriptor,
			     print_batch, &h, e);
	if (code == 0)
		output_table_print(table);
	return code;
}

const struct cli_verb command_history = {
	.name = "history",
	.arguments = "[ID]",
	.summary = "show what happened to layers",
	.details =
		"Lists when layers were made, needed, evicted and removed, oldest first. The agent\n"
		"keeps this for 90 days. --export prints it as a trace that simulate replays;\n"
		"names and digests are hashed, so that you can share it.",
	.max_words = 1,
	.options = options,
	.columns = columns,
	.run = run,
};

/* ---- regret ---- */

enum regret_column {
	REGRET_BY,
	REGRET_EVICTED,
	REGRET_BYTES,
	REGRET_DAY,
	REGRET_DAY_BYTES,
	REGRET_WEEK,
	REGRET_WEEK_BYTES,
	REGRET_COST,
	REGRET_END,
};

static const struct output_column regret_columns[] = {
	[REGRET_BY] = { "BY", "policy and scorer", OUTPUT_TABLE_LEFT, 0 },
	[REGRET_EVICTED] = { "EVICTED", "number of evicted layers", OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_BYTES] = { "SIZE", "their size", OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_DAY] = { "AGAIN 24H", "layers that were made again within 24 hours",
			 OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_DAY_BYTES] = { "SIZE 24H", "their size", OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_WEEK] = { "AGAIN 7D", "layers that were made again within 7 days",
			  OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_WEEK_BYTES] = { "SIZE 7D", "their size", OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_COST] = { "COST 7D", "time that making them again took", OUTPUT_TABLE_RIGHT, 0 },
	[REGRET_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static void print_regret_json(struct output *o, const Varve__V1__Regret *regret)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	cli_history_regret_json(&w, regret);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void fill_regret(struct output_table *t, const Varve__V1__Regret *regret)
{
	char text[UNITS_TEXT_MAX];

	output_table_row(t, NULL);
	output_table_text(t, REGRET_BY, regret->by);
	output_table_count(t, REGRET_EVICTED, regret->evicted, true);
	output_table_size(t, REGRET_BYTES, regret->evicted_bytes, "");
	output_table_count(t, REGRET_DAY, regret->day->layers, true);
	output_table_size(t, REGRET_DAY_BYTES, regret->day->bytes, "");
	output_table_count(t, REGRET_WEEK, regret->week->layers, true);
	output_table_size(t, REGRET_WEEK_BYTES, regret->week->bytes, "");
	output_table_text(t, REGRET_COST, units_format_duration(regret->week->cost_ns, text));
}

static int run_regret(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__RegretReply *reply = NULL;
	cleanup(output_table_free) struct output_table *table = output_table_new(
		&c->out, regret_columns, "BY,EVICTED,SIZE,AGAIN 24H,AGAIN 7D,SIZE 7D,COST 7D");
	Varve__V1__RegretRequest request = VARVE__V1__REGRET_REQUEST__INIT;

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	reply = cli_call_one(c, "Regret", &request.base, &varve__v1__regret_reply__descriptor, e);
	if (!reply)
		return e->code;
	for (size_t i = 0; i < reply->n_regrets; i++) {
		if (c->line.globals.json)
			print_regret_json(&c->out, reply->regrets[i]);
		else if (c->line.globals.quiet)
			output_text(&c->out, reply->regrets[i]->by);
		else
			fill_regret(table, reply->regrets[i]);
	}
	output_table_print(table);
	return 0;
}

const struct cli_verb command_regret = {
	.name = "regret",
	.arguments = "",
	.summary = "show what was evicted and made again",
	.details = "For each policy and scorer: what it evicted, and what of that was made again\n"
		   "within 24 hours and 7 days. 'prune' stands for evictions by hand.",
	.columns = regret_columns,
	.run = run_regret,
};
