/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's policies, and what they would evict now. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/cli_history.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

#define REGRET_TEXT 160

enum show_column {
	SHOW_NAME,
	SHOW_FILTERS,
	SHOW_ALL,
	SHOW_KEEP_DURATION,
	SHOW_RESERVED,
	SHOW_MAX_USED,
	SHOW_MIN_FREE,
	SHOW_SCORER,
	SHOW_OWNER,
	SHOW_USED,
	SHOW_KEEP,
	SHOW_REGRET,
	SHOW_END,
};

static const struct output_column show_columns[] = {
	[SHOW_NAME] = { "NAME", "name of the policy", OUTPUT_TABLE_LEFT, 0 },
	[SHOW_FILTERS] = { "FILTERS", "which records; one of the filters has to match",
			   OUTPUT_TABLE_CUT, 0 },
	[SHOW_ALL] = { "ALL", "whether internal, frontend and shared records are included",
		       OUTPUT_TABLE_LEFT, 0 },
	[SHOW_KEEP_DURATION] = { "UNUSED FOR", "minimum time since the last use",
				 OUTPUT_TABLE_RIGHT, 0 },
	[SHOW_RESERVED] = { "RESERVED", "the store keeps at least this much", OUTPUT_TABLE_RIGHT,
			    0 },
	[SHOW_MAX_USED] = { "MAX USED", "the store may use this much", OUTPUT_TABLE_RIGHT, 0 },
	[SHOW_MIN_FREE] = { "MIN FREE", "free space to keep on the file system", OUTPUT_TABLE_RIGHT,
			    0 },
	[SHOW_SCORER] = { "SCORER", "decides which record is evicted first", OUTPUT_TABLE_LEFT, 0 },
	[SHOW_OWNER] = { "OWNER", "whose records it is about; a dash: the store's own",
			 OUTPUT_TABLE_LEFT, 0 },
	[SHOW_USED] = { "USED", "the store uses this much now", OUTPUT_TABLE_RIGHT, 0 },
	[SHOW_KEEP] = { "KEEP", "the store may keep this much now", OUTPUT_TABLE_RIGHT, 0 },
	[SHOW_REGRET] = { "REGRET", "what of its evictions was made again", OUTPUT_TABLE_CUT, 0 },
	[SHOW_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static bool is_limited(const Varve__V1__Policy *p)
{
	return p->keep > 0 && p->keep < INT64_MAX;
}

static int64_t limit_or_unknown(int64_t bytes)
{
	return bytes > 0 ? bytes : -1;
}

static void show_json(struct output *o, const Varve__V1__Policy *p,
		      const Varve__V1__RegretReply *regrets)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "name", p->name);
	json_open_array(&w, "filters");
	for (size_t i = 0; i < p->n_filters; i++)
		json_put_string(&w, NULL, p->filters[i]);
	json_close_array(&w);
	json_put_bool(&w, "all", p->all);
	json_put_int(&w, "keepDurationNs", p->keep_duration_ns);
	output_json_size(&w, "reservedSpace", limit_or_unknown(p->reserved));
	output_json_size(&w, "maxUsedSpace", limit_or_unknown(p->max_used));
	output_json_size(&w, "minFreeSpace", limit_or_unknown(p->min_free));
	json_put_string(&w, "scorer", p->scorer);
	json_put_string(&w, "owner", p->owner[0] ? p->owner : NULL);
	json_put_int(&w, "used", p->used);
	output_json_size(&w, "keep", is_limited(p) ? p->keep : -1);
	cli_history_regrets_json(&w, regrets, p->name);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void show_row(const struct output *o, struct output_table *t, const Varve__V1__Policy *p,
		     const Varve__V1__RegretReply *regrets)
{
	char regret[REGRET_TEXT];
	cleanup(strbuf_free) struct strbuf filters = { 0 };
	char duration[UNITS_TEXT_MAX];

	for (size_t i = 0; i < p->n_filters; i++) {
		strbuf_append(&filters, i ? " or " : "");
		strbuf_append(&filters, p->filters[i]);
	}
	output_table_row(t, NULL);
	output_table_text(t, SHOW_NAME, p->name);
	output_table_text(t, SHOW_FILTERS, filters.text ? filters.text : "");
	output_table_text(t, SHOW_ALL, p->all ? "yes" : "no");
	output_table_text(t, SHOW_KEEP_DURATION,
			  p->keep_duration_ns ? units_format_duration(p->keep_duration_ns, duration)
					      : NULL);
	output_table_size(t, SHOW_RESERVED, limit_or_unknown(p->reserved), "");
	output_table_size(t, SHOW_MAX_USED, limit_or_unknown(p->max_used), "");
	output_table_size(t, SHOW_MIN_FREE, limit_or_unknown(p->min_free), "");
	output_table_text(t, SHOW_SCORER, p->scorer);
	output_table_text(t, SHOW_OWNER, p->owner[0] ? p->owner : NULL);
	output_table_size(t, SHOW_USED, p->used, "");
	output_table_size(t, SHOW_KEEP, is_limited(p) ? p->keep : -1, "");
	output_table_text(t, SHOW_REGRET,
			  cli_history_regret_text(o, regrets, p->name, regret, sizeof(regret))
				  ? regret
				  : NULL);
}

static Varve__V1__PolicyReply *list_policies(struct cli *c, struct error *e)
{
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;

	return cli_call_one(c, "PolicyList", &request.base, &varve__v1__policy_reply__descriptor,
			    e);
}

static int run_show(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__PolicyReply *reply = list_policies(c, e);
	cleanup(free_reply) Varve__V1__RegretReply *regrets = reply ? cli_history_regrets(c, e)
								    : NULL;
	cleanup(output_table_free) struct output_table *table = NULL;

	if (!regrets)
		return e->code;
	table = output_table_new(
		&c->out, show_columns,
		"NAME,FILTERS,ALL,UNUSED FOR,RESERVED,MAX USED,MIN FREE,SCORER,USED,KEEP,REGRET");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < reply->n_policies; i++) {
		if (c->line.globals.json)
			show_json(&c->out, reply->policies[i], regrets);
		else if (c->line.globals.quiet)
			output_text(&c->out, reply->policies[i]->name);
		else
			show_row(&c->out, table, reply->policies[i], regrets);
	}
	output_table_print(table);
	return 0;
}

/* ---- check ---- */

enum check_column { CHECK_NAME, CHECK_RECORDS, CHECK_SIZE, CHECK_RESULT, CHECK_END };

static const struct output_column check_columns[] = {
	[CHECK_NAME] = { "NAME", "name of the policy", OUTPUT_TABLE_LEFT, 0 },
	[CHECK_RECORDS] = { "RECORDS", "number of records it would evict now", OUTPUT_TABLE_RIGHT,
			    0 },
	[CHECK_SIZE] = { "SIZE", "size of these records", OUTPUT_TABLE_RIGHT, 0 },
	[CHECK_RESULT] = { "RESULT", "whether the goal can be reached", OUTPUT_TABLE_LEFT, 0 },
	[CHECK_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct check {
	uint64_t records;
	int64_t bytes, missed;
	char shortfall[512];
};

static int add_event(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__PruneEvent *event = (const Varve__V1__PruneEvent *)reply;
	struct check *check = user;

	(void)e;
	if (event->event_case == VARVE__V1__PRUNE_EVENT__EVENT_PRUNED)
		check->records++;
	if (event->event_case == VARVE__V1__PRUNE_EVENT__EVENT_SUMMARY) {
		check->bytes = event->summary->predicted;
		check->missed = event->summary->missed;
		(void)snprintf(check->shortfall, sizeof(check->shortfall), "%s",
			       event->summary->shortfall);
	}
	return 0;
}

static void print_check(struct cli *c, struct output_table *t, const char *name,
			const struct check *check)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	if (c->line.globals.quiet) {
		output_text(&c->out, name);
		return;
	}
	if (!c->line.globals.json) {
		output_table_row(t, NULL);
		output_table_text(t, CHECK_NAME, name);
		output_table_count(t, CHECK_RECORDS, check->records, true);
		output_table_size(t, CHECK_SIZE, check->bytes, "");
		output_table_text(t, CHECK_RESULT,
				  check->shortfall[0] ? check->shortfall : "reaches its goal");
		return;
	}
	json_open_object(&w, NULL);
	json_put_string(&w, "name", name);
	json_put_uint(&w, "records", check->records);
	json_put_int(&w, "size", check->bytes);
	json_put_bool(&w, "goalReached", check->shortfall[0] == '\0');
	json_put_int(&w, "missed", check->missed);
	json_put_string(&w, "shortfall", check->shortfall[0] ? check->shortfall : NULL);
	json_close_object(&w);
	output_json_line(&c->out, &w);
}

static int run_check(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__PolicyReply *reply = list_policies(c, e);
	cleanup(output_table_free) struct output_table *table = NULL;

	if (!reply)
		return e->code;
	table = output_table_new(&c->out, check_columns, "NAME,RECORDS,SIZE,RESULT");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < reply->n_policies; i++) {
		Varve__V1__PruneRequest request = VARVE__V1__PRUNE_REQUEST__INIT;
		struct check check = { 0 };
		int code;

		request.policy = reply->policies[i]->name;
		request.dry_run = true;
		code = cli_call_each(c, "Prune", &request.base, &varve__v1__prune_event__descriptor,
				     add_event, &check, e);
		if (code < 0)
			return code;
		print_check(c, table, request.policy, &check);
		if (check.shortfall[0])
			c->exit = CLI_EXIT_PROBLEMS_FOUND;
	}
	output_table_print(table);
	return 0;
}

const struct cli_verb command_policy_show = {
	.name = "policy show",
	.arguments = "",
	.summary = "show the policies by which the agent evicts",
	.details = "Policies run in the order shown. Shares of the disk are shown as bytes.",
	.columns = show_columns,
	.run = run_show,
};

const struct cli_verb command_policy_check = {
	.name = "policy check",
	.arguments = "",
	.summary = "show what the policies would evict now",
	.details = "Exits with 8 when a policy cannot reach its goal.",
	.columns = check_columns,
	.run = run_check,
};
