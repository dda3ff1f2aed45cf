/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli_records.h"
#include "cli/commands.h"

static const struct cli_option options[] = {
	{ 0, "filter", "FILTER", "only matching records; if repeated, those that match any" },
	{ 0, NULL, NULL, NULL },
};

static int run(struct cli *c, struct error *e)
{
	cleanup(free_ptr) char **filters = calloc(c->line.given_count + 1, sizeof(*filters));
	cleanup(cli_records_free) struct cli_records records = { 0 };
	cleanup(output_table_free) struct output_table *table = NULL;
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	int code;

	if (!filters)
		return error_set(e, -ENOMEM, "out of memory for the filters");
	for (size_t i = 0; i < c->line.given_count; i++)
		filters[i] = (char *)c->line.given[i].value; /* its only option */
	request.filters = filters;
	request.n_filters = c->line.given_count;
	request.ask_owners = cli_records_want_owners(c);
	code = cli_records_fetch(c, &request, &records, e);
	if (code < 0)
		return code;
	if (cli_records_print_plain(c, &records))
		return 0;

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
	.options = options,
	.columns = cli_records_columns,
	.run = run,
};
