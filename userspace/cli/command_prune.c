/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

#define PROGRESS_INTERVAL_NS (NS_PER_S / 5)

enum option {
	OPTION_ALL,
	OPTION_FILTER,
	OPTION_KEEP_DURATION,
	OPTION_KEEP_STORAGE,
	OPTION_RESERVED,
	OPTION_MAX_USED,
	OPTION_MIN_FREE,
	OPTION_SCORER,
	OPTION_TO_LAZY,
	OPTION_OWNER,
	OPTION_POLICY, /* options before this one choose what is evicted: see chooses_records() */
	OPTION_DRY_RUN,
	OPTION_PLAN,
	OPTION_STRICT,
	OPTION_END,
};

static const struct cli_option options[] = {
	[OPTION_ALL] = { 'a', "all", NULL, "include internal, frontend and shared records" },
	[OPTION_FILTER] = { 0, "filter", "FILTER", "only matching records; may be repeated" },
	[OPTION_KEEP_DURATION] = { 0, "keep-duration", "TIME",
				   "only records unused for this long (72h, 7d)" },
	[OPTION_KEEP_STORAGE] = { 0, "keep-storage", "SIZE",
				  "stop when this much is left (10G, 10%)" },
	[OPTION_RESERVED] = { 0, "reserved-space", "SIZE", "always keep at least this much" },
	[OPTION_MAX_USED] = { 0, "max-used-space", "SIZE", "same as --keep-storage" },
	[OPTION_MIN_FREE] = { 0, "min-free-space", "SIZE",
			      "evict until this much of the file system is free" },
	[OPTION_SCORER] = { 0, "scorer", "NAME",
			    "ranks records: access, buildkit, forecast, gdsf or lru" },
	[OPTION_TO_LAZY] = { 0, "to-lazy", NULL,
			     "delete only files that can be unpacked or fetched again" },
	[OPTION_OWNER] = { 0, "owner", "NAME", "ask this owner to remove records of its own" },
	[OPTION_POLICY] = { 0, "policy", "NAME", "run this policy of the agent" },
	[OPTION_DRY_RUN] = { 0, "dry-run", NULL, "only show a plan of what would be evicted" },
	[OPTION_PLAN] = { 0, "plan", "ID",
			  "execute this plan, unless one of its records has changed" },
	[OPTION_STRICT] = { 0, "strict", NULL, "exit with 7 when the goal is not reached" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_ID,
	COLUMN_SIZE,
	COLUMN_USES,
	COLUMN_LAST_USED,
	COLUMN_SCORE,
	COLUMN_KIND,
	COLUMN_TYPE,
	COLUMN_SHARED,
	COLUMN_CREATED,
	COLUMN_PARENT,
	COLUMN_DESCRIPTION,
	COLUMN_REASON,
	COLUMN_END,
};

/* Rows are printed one by one, before the next one is known, so most columns have fixed widths. */
static const struct output_column columns[] = {
	[COLUMN_ID] = { "ID", "the record", OUTPUT_TABLE_LEFT, OUTPUT_TABLE_SHORT_ID },
	[COLUMN_SIZE] = { "SIZE", "allocated on disk", OUTPUT_TABLE_RIGHT, 9 },
	[COLUMN_USES] = { "USES", "how often it was used", OUTPUT_TABLE_RIGHT, 5 },
	[COLUMN_LAST_USED] = { "LAST USED", "last release of a ref, or last access",
			       OUTPUT_TABLE_LEFT, 14 },
	[COLUMN_SCORE] = { "SCORE", "the lowest is evicted first", OUTPUT_TABLE_RIGHT, 8 },
	[COLUMN_KIND] = { "KIND", "mutable or immutable", OUTPUT_TABLE_LEFT, 9 },
	[COLUMN_TYPE] = { "TYPE", "the record type", OUTPUT_TABLE_LEFT, 20 },
	[COLUMN_SHARED] = { "SHARED", "other records or leases rely on its data, too",
			    OUTPUT_TABLE_LEFT, 6 },
	[COLUMN_CREATED] = { "CREATED", "when it was created", OUTPUT_TABLE_LEFT, 14 },
	[COLUMN_PARENT] = { "PARENT", "the record below", OUTPUT_TABLE_LEFT,
			    OUTPUT_TABLE_SHORT_ID },
	[COLUMN_DESCRIPTION] = { "DESCRIPTION", "the description", OUTPUT_TABLE_LEFT, 24 },
	[COLUMN_REASON] = { "REASON", "why this record", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct prune {
	struct cli *c;
	struct output_table *table;
	bool dry_run, strict;
	bool progress; /* show it on standard error, if that alone is a terminal */
	uint64_t count;
	int64_t bytes;
	int64_t shown_ns; /* when progress was last shown */
	bool summary_seen, goal_missed;
	char shortfall[512];
};

static void show_progress(struct prune *p)
{
	char size[UNITS_TEXT_MAX];
	int64_t now_ns = clock_boot_ns();

	if (!p->progress || now_ns - p->shown_ns < PROGRESS_INTERVAL_NS)
		return;
	p->shown_ns = now_ns;
	(void)fprintf(stderr, "\r\033[K%" PRIu64 " records, %s", p->count,
		      output_size(&p->c->out, p->bytes, size));
}

static void end_progress(struct prune *p)
{
	if (p->progress && p->shown_ns > 0)
		(void)fputs("\r\033[K", stderr);
}

static void fill_row(struct output_table *t, const Varve__V1__Pruned *record)
{
	char score[UNITS_TEXT_MAX];

	(void)snprintf(score, sizeof(score), "%.4f", record->score);
	output_table_row(t, NULL);
	output_table_id(t, COLUMN_ID, record->id, "");
	output_table_size(t, COLUMN_SIZE, record->size, "");
	output_table_count(t, COLUMN_USES, (uint64_t)record->usage_count, true);
	output_table_age(t, COLUMN_LAST_USED, record->last_used_ns, true);
	output_table_text(t, COLUMN_SCORE, score);
	output_table_text(t, COLUMN_KIND, record->mutable_ ? "mutable" : "immutable");
	output_table_text(t, COLUMN_TYPE, record->record_type);
	output_table_text(t, COLUMN_SHARED, record->shared ? "yes" : "no");
	output_table_age(t, COLUMN_CREATED, record->created_ns, record->created_ns != 0);
	output_table_text(t, COLUMN_PARENT, NULL);
	if (record->parent[0])
		output_table_id(t, COLUMN_PARENT, record->parent, "");
	output_table_text(t, COLUMN_DESCRIPTION, record->description);
	output_table_text(t, COLUMN_REASON, record->reason);
	if (record->refused[0]) {
		char refused[512];

		(void)snprintf(refused, sizeof(refused), "stays: %s", record->refused);
		output_table_text(t, COLUMN_REASON, refused);
	}
}

static void print_record_json(struct output *o, const Varve__V1__Pruned *record)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "id", record->id);
	output_json_size(&w, "size", record->size);
	json_open_array(&w, "parents");
	if (record->parent[0])
		json_put_string(&w, NULL, record->parent);
	json_close_array(&w);
	json_put_bool(&w, "mutable", record->mutable_);
	json_put_bool(&w, "shared", record->shared);
	output_json_time(&w, "createdAt", record->created_ns);
	output_json_time(&w, "lastUsedAt", record->last_used_ns);
	json_put_int(&w, "usageCount", record->usage_count);
	json_put_string(&w, "description", record->description);
	json_put_string(&w, "recordType", record->record_type);
	json_put_double(&w, "score", record->score);
	json_put_string(&w, "reason", record->reason);
	json_put_bool(&w, "toLazy", record->to_lazy);
	json_put_string(&w, "owner", record->owner[0] ? record->owner : NULL);
	json_put_string(&w, "refused", record->refused[0] ? record->refused : NULL);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void print_record(struct prune *p, const Varve__V1__Pruned *record)
{
	struct cli *c = p->c;

	if (!record->refused[0]) {
		p->count++;
		p->bytes += record->size > 0 ? record->size : 0;
	}
	if (c->line.globals.json) {
		print_record_json(&c->out, record);
	} else if (c->line.globals.quiet) {
		if (!record->refused[0])
			output_text(&c->out, record->id);
	} else {
		fill_row(p->table, record);
		output_table_print(p->table);
	}
	show_progress(p);
}

static void print_summary_json(struct output *o, const Varve__V1__PruneSummary *s)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_int(&w, "predicted", s->predicted);
	json_put_int(&w, "freed", s->freed);
	output_json_size(&w, "remaining", s->remaining);
	json_put_bool(&w, "goalReached", s->goal_reached);
	json_put_int(&w, "missed", s->missed);
	json_put_string(&w, "shortfall", s->shortfall[0] ? s->shortfall : NULL);
	json_put_string(&w, "plan", s->plan[0] ? s->plan : NULL);
	json_close_object(&w);
	output_json_line(o, &w);
}

/* Unlike other sizes, a negative one is known: the disk filled up meanwhile. */
static const char *freed_size(const struct output *o, int64_t bytes, char buffer[UNITS_TEXT_MAX])
{
	if (bytes >= 0)
		return output_size(o, bytes, buffer);
	if (!o->bytes)
		return units_format_size(bytes, buffer);
	(void)snprintf(buffer, UNITS_TEXT_MAX, "%" PRId64, bytes);
	return buffer;
}

static void print_summary(struct prune *p, const Varve__V1__PruneSummary *s)
{
	struct output *o = &p->c->out;
	char predicted[UNITS_TEXT_MAX], freed[UNITS_TEXT_MAX], text[4 * UNITS_TEXT_MAX];

	p->summary_seen = true;
	p->goal_missed = !s->goal_reached;
	(void)snprintf(p->shortfall, sizeof(p->shortfall), "%s",
		       s->shortfall[0] ? s->shortfall : "the goal was not reached");
	if (p->c->line.globals.json) {
		print_summary_json(o, s);
		return;
	}
	if (p->c->line.globals.quiet)
		return;
	if (p->dry_run)
		(void)snprintf(text, sizeof(text), "would free %s; plan %s (varve prune --plan %s)",
			       output_size(o, s->predicted, predicted), s->plan, s->plan);
	else
		(void)snprintf(text, sizeof(text), "predicted %s, freed %s",
			       output_size(o, s->predicted, predicted),
			       freed_size(o, s->freed, freed));
	output_text(o, text);
	if (p->goal_missed && !p->strict)
		output_text(o, p->shortfall);
}

static int print_event(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__PruneEvent *event = (const Varve__V1__PruneEvent *)reply;
	struct prune *p = user;

	switch (event->event_case) {
	case VARVE__V1__PRUNE_EVENT__EVENT_PRUNED:
		print_record(p, event->pruned);
		break;
	case VARVE__V1__PRUNE_EVENT__EVENT_SUMMARY:
		end_progress(p);
		print_summary(p, event->summary);
		break;
	default:
		break; /* an event that only newer agents send */
	}
	return cli_flush(p->c, e);
}

static int parse_space(struct cli *c, const char *text, Varve__V1__Space *space, struct error *e)
{
	if (!strchr(text, '%'))
		return units_parse_size(text, 0, &space->bytes) < 0
			       ? cli_usage(c, e, "invalid size '%s' (examples: 10G, 500MB, 10%%)",
					   text)
			       : 0;
	if (units_parse_share(text, &space->percent) < 0)
		return cli_usage(c, e, "invalid share of a file system '%s' (example: 10%%)", text);
	space->percent *= 100;
	return 0;
}

/* The messages that a request points to. */
struct limits {
	Varve__V1__Limits limits;
	Varve__V1__Space reserved, max_used, min_free;
};

static void limits_init(struct limits *l, Varve__V1__PruneRequest *request)
{
	varve__v1__limits__init(&l->limits);
	varve__v1__space__init(&l->reserved);
	varve__v1__space__init(&l->max_used);
	varve__v1__space__init(&l->min_free);
	l->limits.reserved = &l->reserved;
	l->limits.max_used = &l->max_used;
	l->limits.min_free = &l->min_free;
	request->limits = &l->limits;
}

static int read_option(struct prune *p, const struct cli_given *given,
		       Varve__V1__PruneRequest *request, struct limits *limits, struct error *e)
{
	char *value = (char *)given->value;

	switch ((enum option)given->option) {
	case OPTION_ALL:
		request->all = true;
		break;
	case OPTION_FILTER:
		request->filters[request->n_filters++] = value;
		break;
	case OPTION_KEEP_DURATION:
		if (units_parse_duration(value, &request->keep_duration_ns) < 0)
			return cli_usage(p->c, e, "invalid duration '%s' (examples: 15m, 72h, 7d)",
					 value);
		break;
	case OPTION_KEEP_STORAGE:
	case OPTION_MAX_USED:
		return parse_space(p->c, value, &limits->max_used, e);
	case OPTION_RESERVED:
		return parse_space(p->c, value, &limits->reserved, e);
	case OPTION_MIN_FREE:
		return parse_space(p->c, value, &limits->min_free, e);
	case OPTION_POLICY:
		request->policy = value;
		break;
	case OPTION_PLAN:
		request->plan = value;
		break;
	case OPTION_SCORER:
		request->scorer = value;
		break;
	case OPTION_TO_LAZY:
		request->to_lazy = true;
		break;
	case OPTION_OWNER:
		request->owner = value;
		break;
	case OPTION_DRY_RUN:
		request->dry_run = p->dry_run = true;
		break;
	case OPTION_STRICT:
		p->strict = true;
		break;
	case OPTION_END:
		break;
	}
	return 0;
}

/* Whether an option chooses what is evicted. */
static bool chooses_records(const struct cli *c)
{
	for (size_t i = 0; i < c->line.given_count; i++)
		if (c->line.given[i].option < OPTION_POLICY)
			return true;
	return false;
}

static int read_options(struct prune *p, Varve__V1__PruneRequest *request, struct limits *limits,
			struct error *e)
{
	struct cli *c = p->c;

	for (size_t i = 0; i < c->line.given_count; i++)
		if (read_option(p, &c->line.given[i], request, limits, e) < 0)
			return e->code;
	if ((request->policy[0] || request->plan[0]) && chooses_records(c))
		return cli_usage(
			c, e,
			"--policy and --plan decide what is evicted and cannot be combined with "
			"filters, limits, -a, --owner or --scorer");
	if (request->plan[0] && (request->policy[0] || request->dry_run))
		return cli_usage(c, e, "--plan cannot be combined with --policy or --dry-run");
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_ptr) char **filters = calloc(c->line.given_count + 1, sizeof(*filters));
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&c->out, columns, "ID,SIZE,USES,LAST USED,DESCRIPTION,REASON");
	Varve__V1__PruneRequest request = VARVE__V1__PRUNE_REQUEST__INIT;
	struct limits limits;
	struct prune p = { .c = c, .table = table };
	int code;

	if (!filters || !table)
		return error_set(e, -ENOMEM, "out of memory for the command line");
	p.progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	request.filters = filters;
	limits_init(&limits, &request);
	code = read_options(&p, &request, &limits, e);
	if (code < 0)
		return code;
	code = cli_call_each(c, "Prune", &request.base, &varve__v1__prune_event__descriptor,
			     print_event, &p, e);
	if (code < 0) {
		end_progress(&p);
		return code;
	}
	if (!p.summary_seen)
		return error_set(e, -EPROTO, "the agent ended the call without a summary");
	if (p.goal_missed && p.strict) {
		c->exit = CLI_EXIT_GOAL_MISSED;
		return error_set(e, -ENOSPC, "%s", p.shortfall);
	}
	return 0;
}

const struct cli_verb command_prune = {
	.name = "prune",
	.arguments = "",
	.summary = "evict records that are not in use",
	.details =
		"Prints each evicted record, then how much was predicted and how much was freed. With "
		"--owner, the records are those of another program (varve owners), which is asked to "
		"remove them one by one, and may refuse.",
	.options = options,
	.columns = columns,
	.run = run,
};
