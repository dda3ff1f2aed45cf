/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum column { COLUMN_CHECK, COLUMN_STATE, COLUMN_FOUND, COLUMN_ADVICE, COLUMN_END };

static const struct output_column columns[] = {
	[COLUMN_CHECK] = { "CHECK", "what was checked", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_STATE] = { "STATE", "ok, warning, degraded or failed", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_FOUND] = { "FOUND", "what was found", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_ADVICE] = { "ADVICE", "what to do about it", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static const struct state {
	const char *name, *mark, *color;
	bool problem;
} states[] = {
	{ "ok", "\xe2\x9c\x93", "\033[32m", false }, /* check mark, green */
	{ "warning", "!", "\033[33m", false },
	{ "degraded", "!", "\033[33m", true },
	{ "failed", "\xe2\x9c\x97", "\033[31m", true }, /* ballot cross, red */
};

static const struct state *find_state(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i].name, name) == 0)
			return &states[i];
	return NULL;
}

static void fill_row(struct output *o, struct output_table *t, const Varve__V1__Check *check)
{
	const struct state *state = find_state(check->state);
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%s%s", state && o->utf8 ? state->mark : "",
		       state && o->utf8 ? " " : "", check->state);
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_CHECK, check->name);
	output_table_text(t, COLUMN_STATE, text);
	output_table_text(t, COLUMN_FOUND, check->found);
	output_table_text(t, COLUMN_ADVICE, check->advice);
	if (state)
		output_table_color(t, COLUMN_STATE, state->color);
}

static void print_json(struct output *o, const Varve__V1__Check *check)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "name", check->name);
	json_put_string(&w, "state", check->state);
	json_put_string(&w, "found", check->found);
	json_put_string(&w, "advice", check->advice[0] ? check->advice : NULL);
	json_close_object(&w);
	output_json_line(o, &w);
}

/* Advice is longer than a cell, so it is printed below the table. */
static void print_advice(struct output *o, const Varve__V1__DoctorReply *reply)
{
	bool first = true;

	for (size_t i = 0; i < reply->n_checks; i++) {
		if (!reply->checks[i]->advice[0])
			continue;
		if (first)
			output_text(o, "");
		first = false;
		output_field(o, reply->checks[i]->name, "%s", reply->checks[i]->advice);
	}
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__DoctorReply *reply = NULL;
	cleanup(output_table_free) struct output_table *table = NULL;
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;
	bool problem;

	reply = cli_call_one(c, "Doctor", &request.base, &varve__v1__doctor_reply__descriptor, e);
	if (!reply)
		return e->code;
	table = output_table_new(&c->out, columns, "CHECK,STATE,FOUND");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	problem = reply->degraded;
	for (size_t i = 0; i < reply->n_checks; i++) {
		const struct state *state = find_state(reply->checks[i]->state);

		if (state && state->problem)
			problem = true;
		if (c->line.globals.json)
			print_json(&c->out, reply->checks[i]);
		else if (c->line.globals.quiet)
			output_text(&c->out, reply->checks[i]->name);
		else
			fill_row(&c->out, table, reply->checks[i]);
	}
	output_table_print(table);
	if (!c->line.globals.json && !c->line.globals.quiet)
		print_advice(&c->out, reply);
	if (problem)
		c->exit = CLI_EXIT_PROBLEMS_FOUND;
	return 0;
}

const struct cli_verb command_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "check what this kernel and this agent support",
	.details = "Exits with 8 when accounting is degraded or a check failed.",
	.columns = columns,
	.run = run,
};
