/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/cli_id_map.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum create_option { CREATE_EXPIRES, CREATE_UID_MAP, CREATE_GID_MAP, CREATE_END };

static const struct cli_option create_options[] = {
	[CREATE_EXPIRES] = { 0, "expires", "TIME",
			     "let the lease expire after this time (72h, 7d); default: never" },
	[CREATE_UID_MAP] = { 0, "uid-map", CLI_ID_MAP_ARGUMENT, CLI_ID_MAP_HELP("user") },
	[CREATE_GID_MAP] = { 0, "gid-map", CLI_ID_MAP_ARGUMENT, CLI_ID_MAP_HELP("group") },
	[CREATE_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_NAME,
	COLUMN_RECORDS,
	COLUMN_REFS,
	COLUMN_NEEDS,
	COLUMN_CREATED,
	COLUMN_EXPIRES,
	COLUMN_EPHEMERAL,
	COLUMN_END
};

static const struct output_column columns[] = {
	[COLUMN_NAME] = { "NAME", "name of the lease", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_RECORDS] = { "RECORDS", "number of records it holds", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_REFS] = { "REFS", "number of refs on them", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_NEEDS] = { "NEEDS", "number of its external references", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_CREATED] = { "CREATED", "when it was created", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_EXPIRES] = { "EXPIRES", "when it expires", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_EPHEMERAL] = { "EPHEMERAL", "yes: ends with its connection", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static void print_json(struct output *o, const Varve__V1__Lease *lease)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "name", lease->name);
	output_json_time(&w, "createdAt", lease->created_ns);
	output_json_time(&w, "expiresAt", lease->expires_ns);
	json_put_bool(&w, "ephemeral", lease->ephemeral);
	json_open_array(&w, "holds");
	for (size_t i = 0; i < lease->n_holds; i++) {
		json_open_object(&w, NULL);
		json_put_string(
			&w, "id",
			lease->holds[i]->lease); /* in a lease this field is the record's id */
		json_put_uint(&w, "refs", lease->holds[i]->refs);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_open_array(&w, "needs");
	for (size_t i = 0; i < lease->n_needs; i++)
		json_put_string(&w, NULL, lease->needs[i]);
	json_close_array(&w);
	cli_id_map_json(&w, "idMap", lease->id_map);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void fill_row(struct output_table *t, const Varve__V1__Lease *lease)
{
	uint64_t refs = 0;

	for (size_t i = 0; i < lease->n_holds; i++)
		refs += lease->holds[i]->refs;
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_NAME, lease->name);
	output_table_count(t, COLUMN_RECORDS, lease->n_holds, true);
	output_table_count(t, COLUMN_REFS, refs, true);
	output_table_count(t, COLUMN_NEEDS, lease->n_needs, true);
	output_table_age(t, COLUMN_CREATED, lease->created_ns, lease->created_ns != 0);
	output_table_age(t, COLUMN_EXPIRES, lease->expires_ns, true);
	output_table_text(t, COLUMN_EPHEMERAL, lease->ephemeral ? "yes" : "no");
}

static int run_ls(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__LeaseReply *reply = NULL;
	cleanup(output_table_free) struct output_table *table = NULL;
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;

	reply = cli_call_one(c, "LeaseList", &request.base, &varve__v1__lease_reply__descriptor, e);
	if (!reply)
		return e->code;
	table = output_table_new(&c->out, columns, "NAME,RECORDS,CREATED,EXPIRES,EPHEMERAL");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < reply->n_leases; i++) {
		if (c->line.globals.json)
			print_json(&c->out, reply->leases[i]);
		else if (c->line.globals.quiet)
			output_text(&c->out, reply->leases[i]->name);
		else
			fill_row(table, reply->leases[i]);
	}
	output_table_print(table);
	return 0;
}

static int run_create(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__Lease *lease = NULL;
	cleanup(cli_id_map_free) struct cli_id_map map = { 0 };
	Varve__V1__LeaseRequest request = VARVE__V1__LEASE_REQUEST__INIT;
	int code;

	request.name = c->line.words[0];
	for (size_t i = 0; i < c->line.given_count; i++) {
		const char *value = c->line.given[i].value;

		if (c->line.given[i].option == CREATE_UID_MAP)
			cli_id_map_add(&map.uids, value);
		else if (c->line.given[i].option == CREATE_GID_MAP)
			cli_id_map_add(&map.gids, value);
		else if (units_parse_duration(value, &request.expires_after_ns) < 0 ||
			 request.expires_after_ns == 0) /* 0 would mean "never" */
			return cli_usage(c, e, "invalid duration '%s' (examples: 15m, 72h, 7d)",
					 value);
	}
	code = cli_id_map_finish(c, &map, &request.id_map, e);
	if (code < 0)
		return code;
	lease = cli_call_one(c, "LeaseCreate", &request.base, &varve__v1__lease__descriptor, e);
	if (!lease)
		return e->code;
	if (c->line.globals.json)
		print_json(&c->out, lease);
	else
		output_text(&c->out, lease->name);
	return 0;
}

static int run_rm(struct cli *c, struct error *e)
{
	Varve__V1__LeaseRequest request = VARVE__V1__LEASE_REQUEST__INIT;

	request.name = c->line.words[0];
	return cli_call(c, "LeaseRemove", &request.base, e);
}

static int run_need(struct cli *c, struct error *e)
{
	Varve__V1__NeedRequest request = VARVE__V1__NEED_REQUEST__INIT;

	request.lease = c->line.words[0];
	request.needs = c->line.words + 1;
	request.n_needs = c->line.word_count - 1;
	return cli_call(c, "LeaseNeed", &request.base, e);
}

const struct cli_verb command_lease_ls = {
	.name = "lease ls",
	.arguments = "",
	.summary = "list leases",
	.columns = columns,
	.run = run_ls,
};

const struct cli_verb command_lease_create = {
	.name = "lease create",
	.arguments = "NAME",
	.summary = "create a lease, a named holder of refs",
	.details =
		"Records that are created through a lease with an id map are mounted with that map.",
	.min_words = 1,
	.max_words = 1,
	.options = create_options,
	.run = run_create,
};

const struct cli_verb command_lease_rm = {
	.name = "lease rm",
	.arguments = "NAME",
	.summary = "end a lease and drop all its refs",
	.min_words = 1,
	.max_words = 1,
	.run = run_rm,
};

const struct cli_verb command_lease_need = {
	.name = "lease need",
	.arguments = "NAME [ID|CHAIN]...",
	.summary = "set the external references of a lease",
	.details =
		"The records that are named, and those below them, count as shared: prune keeps\n"
		"them unless it is given --all. Replaces all earlier external references of the\n"
		"lease; with a NAME alone, it has none any more.",
	.min_words = 1,
	.max_words = CLI_ANY_NUMBER,
	.run = run_need,
};
