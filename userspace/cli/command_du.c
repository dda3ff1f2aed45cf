/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_records.h"
#include "cli/commands.h"

enum option { OPTION_FILTER, OPTION_VERBOSE, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_FILTER] = { 0, "filter", "FILTER", "only matching records; may be repeated" },
	[OPTION_VERBOSE] = { 'v', "verbose", NULL, "print a block of lines for each record" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

/* Records whose size was not measured add nothing. */
struct totals {
	int64_t shared, reclaimable, total;
};

static int compare_sizes(const void *a, const void *b)
{
	const Varve__V1__Record *first = *(Varve__V1__Record *const *)a;
	const Varve__V1__Record *second = *(Varve__V1__Record *const *)b;

	if (first->size != second->size)
		return first->size > second->size ? -1 : 1;
	return strcmp(first->id, second->id);
}

static struct totals add_up(const struct cli_records *records)
{
	struct totals t = { 0 };

	for (size_t i = 0; i < records->count; i++) {
		const Varve__V1__Record *r = records->items[i];

		if (r->size <= 0)
			continue;
		t.total += r->size;
		if (!r->in_use)
			t.reclaimable += r->size;
		if (r->shared)
			t.shared += r->size;
	}
	return t;
}

static void print_totals(struct output *o, const struct totals *t)
{
	char size[UNITS_TEXT_MAX];

	if (t->shared > 0) {
		output_field(o, "Shared", "%s", output_size(o, t->shared, size));
		output_field(o, "Private", "%s", output_size(o, t->total - t->shared, size));
	}
	output_field(o, "Reclaimable", "%s", output_size(o, t->reclaimable, size));
	output_field(o, "Total", "%s", output_size(o, t->total, size));
}

static void print_block(struct output *o, const Varve__V1__Record *r)
{
	char size[UNITS_TEXT_MAX], time[2 * UNITS_TEXT_MAX];

	output_field(o, "ID", "%s", r->id);
	for (size_t i = 0; i < r->n_parents; i++)
		output_field(o, i == 0 ? "Parents" : "", "%s", r->parents[i]);
	output_field(o, "Created at", "%s", output_time(o, r->created_ns, time));
	output_field(o, "Mutable", "%s", r->mutable_ ? "true" : "false");
	output_field(o, "Reclaimable", "%s", r->in_use ? "false" : "true");
	output_field(o, "Shared", "%s", r->shared ? "true" : "false");
	output_field(o, "Size", "%s", output_size(o, r->size, size));
	output_field(o, "Description", "%s", r->description);
	output_field(o, "Usage count", "%" PRId64, r->usage_count);
	output_field(o, "Last used", "%s", output_time(o, r->last_used_ns, time));
	output_field(o, "Type", "%s", r->record_type);
	if (cli_records_access_known(r)) {
		output_field(o, "Reads", "%" PRIu64 " (%s)", r->access->reads,
			     output_size(o, (int64_t)r->access->read_bytes, size));
		output_field(o, "Last read", "%s", output_time(o, r->access->last_read_ns, time));
	} else {
		output_field(o, "Reads", "%s", output_unknown(o));
	}
	output_text(o, "");
}

static int print_table(struct cli *c, const struct cli_records *records, struct error *e)
{
	cleanup(output_table_free) struct output_table *table = output_table_new(
		&c->out, cli_records_columns, "ID,RECLAIMABLE,SIZE,LAST USED,READS,LAST READ");

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < records->count; i++) {
		output_table_row(table, NULL);
		cli_records_cells(table, records->items[i], true);
	}
	output_table_print(table);
	return 0;
}

static int print_lost(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__InfoReply *info = NULL;
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;

	info = cli_call_one(c, "Info", &empty.base, &varve__v1__info_reply__descriptor, e);
	if (!info)
		return e->code;
	if (info->lost > 0)
		output_lost(&c->out, info->lost);
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_ptr) char **filters = calloc(c->line.given_count + 1, sizeof(*filters));
	cleanup(cli_records_free) struct cli_records records = { 0 };
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	struct totals totals;
	bool verbose = false;
	int code;

	if (!filters)
		return error_set(e, -ENOMEM, "out of memory for the filters");
	for (size_t i = 0; i < c->line.given_count; i++) {
		if (c->line.given[i].option == OPTION_VERBOSE)
			verbose = true;
		else
			filters[request.n_filters++] = (char *)c->line.given[i].value;
	}
	if (verbose && c->out.columns)
		return cli_usage(c, e, "--verbose prints no columns that -o could choose from");
	request.filters = filters;
	request.disk_usage = true;
	request.ask_owners = cli_records_want_owners(c);
	code = cli_records_fetch(c, &request, &records, e);
	if (code < 0)
		return code;

	qsort(records.items, records.count, sizeof(*records.items), compare_sizes);
	if (cli_records_print_plain(c, &records))
		return 0;
	if (verbose) {
		for (size_t i = 0; i < records.count; i++)
			print_block(&c->out, records.items[i]);
	} else {
		code = print_table(c, &records, e);
		if (code < 0)
			return code;
	}
	totals = add_up(&records);
	print_totals(&c->out, &totals);
	return print_lost(c, e);
}

const struct cli_verb command_du = {
	.name = "du",
	.arguments = "",
	.summary = "show disk usage and the last access",
	.details = "Largest first. ID* marks a mutable record, SIZE* a shared one.",
	.options = options,
	.columns = cli_records_columns,
	.run = run,
};
