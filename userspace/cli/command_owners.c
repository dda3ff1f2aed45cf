/* SPDX-License-Identifier: Apache-2.0 */
/* The programs whose records lie in layers of the store, and which the agent may ask to remove
 * them. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum column {
	COLUMN_NAME,
	COLUMN_KIND,
	COLUMN_STATE,
	COLUMN_VERSION,
	COLUMN_RECORDS,
	COLUMN_SIZE,
	COLUMN_EVICT,
	COLUMN_EVICTABLE,
	COLUMN_EVICTABLE_SIZE,
	COLUMN_ASKED,
	COLUMN_ADDRESS,
	COLUMN_PROBLEM,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_NAME] = { "NAME", "name in the configuration", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_KIND] = { "KIND", "buildkit, docker or containerd", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_STATE] = { "STATE", "whether it can be reached", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_VERSION] = { "VERSION", "as the owner tells it", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_RECORDS] = { "RECORDS", "records and images that it lists", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_SIZE] = { "SIZE", "of their layers in the store", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_EVICT] = { "EVICT", "what it may be asked to remove", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_EVICTABLE] = { "EVICTABLE", "records and images that it does not need",
			       OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_EVICTABLE_SIZE] = { "EVICTABLE SIZE", "size of these records", OUTPUT_TABLE_RIGHT,
				    0 },
	[COLUMN_ASKED] = { "ASKED", "when it answered last, or failed to", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_ADDRESS] = { "ADDRESS", "its socket", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_PROBLEM] = { "PROBLEM", "why it does not answer", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static const char *state_of(const Varve__V1__Owner *o)
{
	if (o->asking)
		return "asked now";
	return o->reachable ? "reachable" : "unreachable";
}

static const char *evict_of(const Varve__V1__Owner *o)
{
	if (o->evicts_cache)
		return o->evicts_images ? "both" : "cache";
	return o->evicts_images ? "images" : "nothing";
}

static void show_json(struct output *out, const Varve__V1__Owner *o)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "name", o->name);
	json_put_string(&w, "kind", o->kind);
	json_put_string(&w, "address", o->address);
	json_open_array(&w, "evict");
	if (o->evicts_cache)
		json_put_string(&w, NULL, "cache");
	if (o->evicts_images)
		json_put_string(&w, NULL, "images");
	json_close_array(&w);
	json_put_bool(&w, "reachable", o->reachable);
	json_put_bool(&w, "asking", o->asking);
	json_put_string(&w, "problem", o->problem[0] ? o->problem : NULL);
	json_put_string(&w, "version", o->version[0] ? o->version : NULL);
	json_put_uint(&w, "records", o->records);
	output_json_size(&w, "size", o->size);
	json_put_uint(&w, "evictable", o->evictable);
	output_json_size(&w, "evictableSize", o->evictable_size);
	output_json_time(&w, "askedAt", o->asked_ns);
	json_close_object(&w);
	output_json_line(out, &w);
}

static void show_row(struct output_table *t, const Varve__V1__Owner *o)
{
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_NAME, o->name);
	output_table_text(t, COLUMN_KIND, o->kind);
	output_table_text(t, COLUMN_STATE, state_of(o));
	output_table_text(t, COLUMN_VERSION, o->version[0] ? o->version : NULL);
	output_table_count(t, COLUMN_RECORDS, o->records, o->reachable);
	output_table_size(t, COLUMN_SIZE, o->reachable ? o->size : -1, "");
	output_table_text(t, COLUMN_EVICT, evict_of(o));
	output_table_count(t, COLUMN_EVICTABLE, o->evictable, o->reachable);
	output_table_size(t, COLUMN_EVICTABLE_SIZE, o->reachable ? o->evictable_size : -1, "");
	output_table_age(t, COLUMN_ASKED, o->asked_ns, o->asked_ns != 0);
	output_table_text(t, COLUMN_ADDRESS, o->address);
	output_table_text(t, COLUMN_PROBLEM, o->problem);
}

static int run(struct cli *c, struct error *e)
{
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;
	cleanup(free_reply) Varve__V1__OwnersReply *reply =
		cli_call_one(c, "Owners", &request.base, &varve__v1__owners_reply__descriptor, e);
	cleanup(output_table_free) struct output_table *table = NULL;

	if (!reply)
		return e->code;
	table = output_table_new(
		&c->out, columns,
		"NAME,KIND,STATE,VERSION,RECORDS,SIZE,EVICT,EVICTABLE,EVICTABLE SIZE,PROBLEM");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < reply->n_owners; i++) {
		if (c->line.globals.json)
			show_json(&c->out, reply->owners[i]);
		else if (c->line.globals.quiet)
			output_text(&c->out, reply->owners[i]->name);
		else
			show_row(table, reply->owners[i]);
	}
	output_table_print(table);
	return 0;
}

const struct cli_verb command_owners = {
	.name = "owners",
	.arguments = "",
	.summary = "show the programs that own layers, and what they do not need",
	.details =
		"Owners are sections [buildkit \"name\"], [docker] and [containerd] of the configuration.",
	.columns = columns,
	.run = run,
};
