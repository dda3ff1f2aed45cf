/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum option { OPTION_REPAIR, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_REPAIR] = { 0, "repair", NULL, "repair what can be repaired" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column { COLUMN_KIND, COLUMN_WHAT, COLUMN_REPAIRED, COLUMN_DETAIL, COLUMN_END };

static const struct output_column columns[] = {
	[COLUMN_KIND] = { "KIND", "what is wrong", OUTPUT_TABLE_LEFT, 17 },
	[COLUMN_WHAT] = { "WHAT", "the record or the path in the store", OUTPUT_TABLE_LEFT, 25 },
	[COLUMN_REPAIRED] = { "REPAIRED", "yes or no", OUTPUT_TABLE_LEFT, 8 },
	[COLUMN_DETAIL] = { "DETAIL", "description of the problem", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct fsck {
	struct cli *c;
	struct output_table *table;
	uint64_t records, found, repaired;
	bool summary_seen;
};

static void print_finding_json(struct output *o, const Varve__V1__Finding *finding)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "kind", finding->kind);
	json_put_string(&w, "what", finding->what);
	json_put_string(&w, "detail", finding->detail);
	json_put_bool(&w, "repaired", finding->repaired);
	json_close_object(&w);
	output_json_line(o, &w);
}

/* Findings are printed as they arrive, because checking a big store takes long. */
static int print_finding(struct fsck *f, const Varve__V1__Finding *finding, struct error *e)
{
	if (f->c->line.globals.json) {
		print_finding_json(&f->c->out, finding);
	} else if (f->c->line.globals.quiet) {
		output_text(&f->c->out, finding->what);
	} else {
		output_table_row(f->table, NULL);
		output_table_text(f->table, COLUMN_KIND, finding->kind);
		output_table_text(f->table, COLUMN_WHAT, finding->what);
		output_table_text(f->table, COLUMN_REPAIRED, finding->repaired ? "yes" : "no");
		output_table_text(f->table, COLUMN_DETAIL, finding->detail);
		output_table_print(f->table);
	}
	return cli_flush(f->c, e);
}

static int print_event(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__FsckEvent *event = (const Varve__V1__FsckEvent *)reply;
	struct fsck *f = user;

	if (event->event_case == VARVE__V1__FSCK_EVENT__EVENT_FINDING)
		return print_finding(f, event->finding, e);
	if (event->event_case == VARVE__V1__FSCK_EVENT__EVENT_SUMMARY) {
		f->summary_seen = true;
		f->records = event->summary->records;
		f->found = event->summary->found;
		f->repaired = event->summary->repaired;
	}
	return 0;
}

static void print_summary(const struct fsck *f)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	if (f->c->line.globals.json) {
		json_open_object(&w, NULL);
		json_put_uint(&w, "records", f->records);
		json_put_uint(&w, "found", f->found);
		json_put_uint(&w, "repaired", f->repaired);
		json_close_object(&w);
		output_json_line(&f->c->out, &w);
	} else if (!f->c->line.globals.quiet) {
		printf("%" PRIu64 " records checked, %" PRIu64 " problem%s found, %" PRIu64
		       " repaired\n",
		       f->records, f->found, f->found == 1 ? "" : "s", f->repaired);
	}
}

static int run(struct cli *c, struct error *e)
{
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&c->out, columns, "KIND,WHAT,REPAIRED,DETAIL");
	Varve__V1__FsckRequest request = VARVE__V1__FSCK_REQUEST__INIT;
	struct fsck f = { .c = c, .table = table };
	int code;

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	request.repair = c->line.given_count > 0;
	code = cli_call_each(c, "Fsck", &request.base, &varve__v1__fsck_event__descriptor,
			     print_event, &f, e);
	if (code < 0)
		return code;
	if (!f.summary_seen)
		return error_set(e, -EPROTO, "the agent ended the call without a summary");
	print_summary(&f);
	if (f.found > f.repaired)
		c->exit = CLI_EXIT_PROBLEMS_FOUND;
	return 0;
}

const struct cli_verb command_fsck = {
	.name = "fsck",
	.arguments = "",
	.summary = "check the store against its database, and repair it",
	.details = "Exits with 8 when problems remain.",
	.options = options,
	.columns = columns,
	.run = run,
};
