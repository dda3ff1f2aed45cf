/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hashmap.h"
#include "cli/cli_records.h"
#include "cli/commands.h"

enum option { OPTION_FILTER, OPTION_ALL };

static const struct cli_option options[] = {
	[OPTION_FILTER] = { 0, "filter", "FILTER",
			    "only matching records; if repeated, those that match any" },
	[OPTION_ALL] = { 'a', "all", NULL, "both halves of a commit, which share one layer" },
	{ 0, NULL, NULL, NULL },
};

static bool is_hidden(const struct hashmap *by_id, const Varve__V1__Record *r)
{
	const Varve__V1__Record *twin = r->twin[0] ? hashmap_find(by_id, r->twin) : NULL;

	/* As in a disk usage: the immutable half while it is held, else the mutable one. */
	if (!twin)
		return false;
	return r->mutable_ ? twin->n_holds > 0 : r->n_holds == 0;
}

/* Leaves one of each pair of records that share a layer because one was committed from the other.
 */
static int group_twins(struct cli_records *records)
{
	cleanup(hashmap_free) struct hashmap *by_id = hashmap_new();
	size_t kept = 0;

	for (size_t i = 0; by_id && i < records->count; i++)
		if (hashmap_insert(by_id, records->items[i]->id, (void *)records->items[i]) ==
		    -ENOMEM)
			return -ENOMEM;
	for (size_t i = 0; by_id && i < records->count; i++)
		if (!is_hidden(by_id, records->items[i]))
			records->items[kept++] = records->items[i];
	records->count = kept;
	return by_id ? 0 : -ENOMEM;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_ptr) char **filters = calloc(c->line.given_count + 1, sizeof(*filters));
	cleanup(cli_records_free) struct cli_records records = { 0 };
	cleanup(output_table_free) struct output_table *table = NULL;
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	bool all = false;
	int code;

	if (!filters)
		return error_set(e, -ENOMEM, "out of memory for the filters");
	for (size_t i = 0; i < c->line.given_count; i++)
		if (c->line.given[i].option == OPTION_ALL)
			all = true;
		else
			filters[request.n_filters++] = (char *)c->line.given[i].value;
	request.filters = filters;
	request.ask_owners = cli_records_want_owners(c);
	code = cli_records_fetch(c, &request, &records, e);
	if (code < 0)
		return code;
	if (cli_records_print_plain(c, &records))
		return 0;
	if (!all && group_twins(&records) < 0)
		return error_set(e, -ENOMEM, "out of memory");

	table = output_table_new(&c->out, cli_records_columns,
				 "ID,KIND,SIZE,USES,LAST USED,IN USE,DESCRIPTION");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < records.count; i++) {
		output_table_row(table, NULL);
		cli_records_cells(table, records.items[i], false);
	}
	output_table_print(table);
	return 0;
}

const struct cli_verb command_ls = {
	.name = "ls",
	.arguments = "",
	.summary = "list records",
	.details =
		"As in du, a record and the one that was committed from it are one row, unless --all is "
		"given.\nJSON and -q list both.",
	.options = options,
	.columns = cli_records_columns,
	.run = run,
};
