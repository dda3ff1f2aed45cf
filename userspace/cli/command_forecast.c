/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent has learned of when records are needed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

#define HOUR_S 3600.0
#define DAY_S 86400.0

enum column {
	COLUMN_NEEDS,
	COLUMN_GAP,
	COLUMN_SIBLING,
	COLUMN_RETURNS,
	COLUMN_IDLE,
	COLUMN_TRUST,
	COLUMN_HOUR,
	COLUMN_DAY,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_NEEDS] = { "NEEDS", "how often the record was needed, its creation included",
			   OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_GAP] = { "GAP", "usual time between its needs", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_SIBLING] = { "SIBLING",
			     "whether a younger one took its place, or that of one below it",
			     OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_RETURNS] = { "RETURNS", "how often such records were needed again; old ones fade",
			     OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_IDLE] = { "IDLE", "how long they have been idle in all", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_TRUST] = { "TRUST", "how much this counts, against the formula", OUTPUT_TABLE_RIGHT,
			   0 },
	[COLUMN_HOUR] = { "AFTER 1H", "when one is needed again that was idle for an hour",
			  OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_DAY] = { "AFTER 1D", "when one is needed again that was idle for a day",
			 OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static double needed_again_s(const Varve__V1__ForecastClass *class, double idle_s)
{
	for (size_t i = 0; i < class->n_cells; i++)
		if (class->cells[i]->to_s <= 0 || idle_s < class->cells[i]->to_s)
			return class->cells[i]->needed_again_s;
	return 0;
}

static void fill_again(struct output_table *t, int column, const Varve__V1__ForecastClass *class,
		       double idle_s)
{
	double seconds = needed_again_s(class, idle_s);
	char text[UNITS_TEXT_MAX];

	output_table_text(t, column, seconds > 0 ? units_format_about(seconds, text) : NULL);
}

static void fill_gap(struct output_table *t, const Varve__V1__ForecastClass *class)
{
	char from[UNITS_TEXT_MAX], to[UNITS_TEXT_MAX], text[3 * UNITS_TEXT_MAX];

	units_format_about(class->gap_from_s, from);
	units_format_about(class->gap_to_s, to);
	if (class->gap_from_s <= 0 && class->gap_to_s <= 0)
		output_table_text(t, COLUMN_GAP, NULL);
	else if (class->gap_to_s <= 0)
		(void)snprintf(text, sizeof(text), "over %s", from);
	else if (class->gap_from_s <= 0)
		(void)snprintf(text, sizeof(text), "up to %s", to);
	else
		(void)snprintf(text, sizeof(text), "%s to %s", from, to);
	if (class->gap_from_s > 0 || class->gap_to_s > 0)
		output_table_text(t, COLUMN_GAP, text);
}

static void fill_row(struct output_table *t, const Varve__V1__ForecastClass *class)
{
	char text[UNITS_TEXT_MAX];

	output_table_row(t, NULL);
	if (class->needs_to == 0)
		(void)snprintf(text, sizeof(text), "%" PRIu32 "+", class->needs_from);
	else if (class->needs_to == class->needs_from)
		(void)snprintf(text, sizeof(text), "%" PRIu32, class->needs_from);
	else
		(void)snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, class->needs_from,
			       class->needs_to);
	output_table_text(t, COLUMN_NEEDS, text);
	fill_gap(t, class);
	output_table_text(t, COLUMN_SIBLING, class->superseded ? "yes" : "no");
	(void)snprintf(text, sizeof(text), "%.1f", class->returns);
	output_table_text(t, COLUMN_RETURNS, text);
	output_table_text(t, COLUMN_IDLE, units_format_about(class->idle_s, text));
	(void)snprintf(text, sizeof(text), "%.0f%%", 100 * class->trust);
	output_table_text(t, COLUMN_TRUST, text);
	fill_again(t, COLUMN_HOUR, class, HOUR_S);
	fill_again(t, COLUMN_DAY, class, DAY_S);
}

static void end_or_null(struct json_writer *w, const char *key, double seconds)
{
	if (seconds > 0)
		json_put_double(w, key, seconds);
	else
		json_put_null(w, key);
}

static void print_json(struct output *o, const Varve__V1__ForecastClass *class)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_uint(&w, "needsFrom", class->needs_from);
	if (class->needs_to)
		json_put_uint(&w, "needsTo", class->needs_to);
	else
		json_put_null(&w, "needsTo");
	json_put_double(&w, "gapFrom", class->gap_from_s);
	end_or_null(&w, "gapTo", class->gap_to_s);
	json_put_bool(&w, "superseded", class->superseded);
	json_put_double(&w, "returns", class->returns);
	json_put_double(&w, "idle", class->idle_s);
	json_put_double(&w, "trust", class->trust);
	json_open_array(&w, "cells");
	for (size_t i = 0; i < class->n_cells; i++) {
		const Varve__V1__ForecastCell *cell = class->cells[i];

		json_open_object(&w, NULL);
		json_put_double(&w, "from", cell->from_s);
		end_or_null(&w, "to", cell->to_s);
		json_put_double(&w, "returns", cell->returns);
		json_put_double(&w, "idle", cell->idle_s);
		end_or_null(&w, "neededAgain", cell->needed_again_s);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void print_summary(struct output *o, const Varve__V1__ForecastReply *reply)
{
	char half_life[UNITS_TEXT_MAX];
	double returns = 0;

	output_field(o, "Layers", "%" PRIu64 ", and %" PRIu64 " that are gone", reply->layers,
		     reply->departed);
	for (size_t i = 0; i < reply->n_classes; i++)
		returns += reply->classes[i]->returns;
	if (returns < reply->enough_returns)
		output_field(o, "Learned",
			     "too little, %.0f of %.0f returns: until then, records that were "
			     "read are kept longer than all others",
			     returns, reply->enough_returns);
	else
		output_field(o, "Learned", "enough, %.0f returns", returns);
	output_field(o, "Half-life", "%s of busy time",
		     units_format_about(reply->half_life_s, half_life));
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__ForecastReply *reply = NULL;
	cleanup(output_table_free) struct output_table *table = output_table_new(
		&c->out, columns, "NEEDS,GAP,SIBLING,RETURNS,IDLE,TRUST,AFTER 1H,AFTER 1D");
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	if (c->line.globals.quiet)
		return cli_usage(c, e, "-q prints ids, and classes of records have none");
	reply = cli_call_one(c, "Forecast", &request.base, &varve__v1__forecast_reply__descriptor,
			     e);
	if (!reply)
		return e->code;
	for (size_t i = 0; i < reply->n_classes; i++) {
		if (c->line.globals.json)
			print_json(&c->out, reply->classes[i]);
		else
			fill_row(table, reply->classes[i]);
	}
	output_table_print(table);
	if (!c->line.globals.json)
		print_summary(&c->out, reply);
	return 0;
}

const struct cli_verb command_forecast_show = {
	.name = "forecast show",
	.arguments = "",
	.summary = "show what was learned of when records are needed",
	.details = "A line for each class of records of which the agent has seen something. What\n"
		   "it has seen fades; the scorer forecast plans by it.",
	.columns = columns,
	.run = run,
};
