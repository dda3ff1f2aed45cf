/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/cli_records.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum column {
	COLUMN_ID,
	COLUMN_MOUNT,
	COLUMN_LAYER,
	COLUMN_DESCRIPTION,
	COLUMN_OPENS,
	COLUMN_EXECS,
	COLUMN_READS,
	COLUMN_READ,
	COLUMN_SIZE,
	COLUMN_WRITES,
	COLUMN_WRITTEN,
	COLUMN_MMAPS,
	COLUMN_MAPPED,
	COLUMN_STATS,
	COLUMN_READLINKS,
	COLUMN_COPY_UPS,
	COLUMN_COPIED_UP,
	COLUMN_FILES,
	COLUMN_UPKEEP_OPENS,
	COLUMN_UPKEEP_READS,
	COLUMN_UPKEEP,
	COLUMN_FIRST_READ,
	COLUMN_LAST_READ,
	COLUMN_BACKEND,
	COLUMN_MOUNTPOINT,
	COLUMN_OWNER,
	COLUMN_WHO,
	COLUMN_LAYERS,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_ID] = { "ID", "the record that owns the layer", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_MOUNT] = { "MOUNT", "number of the mount", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_LAYER] = { "LAYER", "position in the mount; 0 is the upper layer",
			   OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_DESCRIPTION] = { "DESCRIPTION", "the description", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_OPENS] = { "OPENS", "files opened", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_EXECS] = { "EXECS", "programs started", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_READS] = { "READS", "read calls", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_READ] = { "READ", "bytes read", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_SIZE] = { "SIZE", "the layer's size", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_WRITES] = { "WRITES", "write calls", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_WRITTEN] = { "WRITTEN", "bytes written", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_MMAPS] = { "MMAPS", "files mapped into memory", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_MAPPED] = { "MAPPED",
			    "bytes mapped in by faults: at most so many were touched through mappings",
			    OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_STATS] = { "STATS", "stat calls", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_READLINKS] = { "READLINKS", "symbolic links read", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_COPY_UPS] = { "COPY-UPS", "files copied to the upper", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_COPIED_UP] = { "COPIED UP", "bytes copied to the upper", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_FILES] = { "FILES", "number of files accessed", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_UPKEEP_OPENS] = { "UPKEEP OPENS", "files opened by upkeep", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_UPKEEP_READS] = { "UPKEEP READS", "read calls of upkeep", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_UPKEEP] = { "UPKEEP", "bytes read by upkeep: containerd, the agent and the like",
			    OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_FIRST_READ] = { "FIRST READ", "the first counted access to a file",
				OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_LAST_READ] = { "LAST READ", "the last access to a file", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_BACKEND] = { "BACKEND", "the backend that counts accesses", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_MOUNTPOINT] = { "MOUNTPOINT", "where it is mounted", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_OWNER] = { "OWNER",
			   "programs whose record, image or container needs it, and its id",
			   OUTPUT_TABLE_CUT, 0 },
	[COLUMN_WHO] = { "WHO", "with --by who: the container, unit or cgroup that has read",
			 OUTPUT_TABLE_CUT, 0 },
	[COLUMN_LAYERS] = { "LAYERS", "with --by who: number of layers", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

/* The counters, in the order in which JSON shows them. */
static const struct counter {
	const char *key; /* NULL: not in JSON */
	size_t offset;
	unsigned int field; /* its number in the message, which is its bit in `unseen` */
	enum column column;
	bool is_size;
} counters[] = {
#define COUNTER(name) offsetof(Varve__V1__Stats, name)
	{ "opens", COUNTER(opens), 2, COLUMN_OPENS, false },
	{ "execs", COUNTER(execs), 3, COLUMN_EXECS, false },
	{ "reads", COUNTER(reads), 4, COLUMN_READS, false },
	{ "readBytes", COUNTER(read_bytes), 5, COLUMN_READ, true },
	{ "writes", COUNTER(writes), 6, COLUMN_WRITES, false },
	{ "writtenBytes", COUNTER(written_bytes), 7, COLUMN_WRITTEN, true },
	{ "mmaps", COUNTER(mmaps), 8, COLUMN_MMAPS, false },
	{ "mappedBytes", COUNTER(mapped_bytes), 28, COLUMN_MAPPED, true },
	{ "stats", COUNTER(stats), 9, COLUMN_STATS, false },
	{ "copyUps", COUNTER(copy_ups), 10, COLUMN_COPY_UPS, false },
	{ "copiedUpBytes", COUNTER(copied_up_bytes), 11, COLUMN_COPIED_UP, true },
	{ "filesTouched", COUNTER(files_touched), 12, COLUMN_FILES, false },
	{ NULL, COUNTER(readlinks), 20, COLUMN_READLINKS, false },
#undef COUNTER
};

#define FIELD_OPENS 2
#define FIELD_FIRST_ACCESS 13
#define FIELD_LAST_ACCESS 14

static bool seen(const Varve__V1__Stats *s, unsigned int field)
{
	return !(s->unseen & (UINT32_C(1) << field));
}

static uint64_t counter_value(const Varve__V1__Stats *s, const struct counter *counter)
{
	return *(const uint64_t *)((const char *)s + counter->offset);
}

/* A backend that sees reads sees those of upkeep. */
static void fill_upkeep(struct output_table *t, const Varve__V1__Stats *s)
{
	static const Varve__V1__Upkeep none = VARVE__V1__UPKEEP__INIT;
	const Varve__V1__Upkeep *u = s->upkeep ? s->upkeep : &none;
	bool known = seen(s, FIELD_OPENS);

	output_table_count(t, COLUMN_UPKEEP_OPENS, u->opens, known);
	output_table_count(t, COLUMN_UPKEEP_READS, u->reads, known);
	output_table_size(t, COLUMN_UPKEEP, known ? (int64_t)u->read_bytes : -1, "");
}

static void fill_row(struct output_table *t, const Varve__V1__Stats *s)
{
	cleanup(free_ptr) char *owners = cli_records_owners_text(s->owners, s->n_owners);

	output_table_text(t, COLUMN_OWNER, owners);
	output_table_id(t, COLUMN_ID, s->id, "");
	output_table_text(t, COLUMN_DESCRIPTION, s->description);
	output_table_size(t, COLUMN_SIZE, s->size, "");
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		const struct counter *counter = &counters[i];
		uint64_t value = counter_value(s, counter);
		bool known = seen(s, counter->field);

		if (counter->is_size)
			output_table_size(t, (int)counter->column, known ? (int64_t)value : -1, "");
		else
			output_table_count(t, (int)counter->column, value, known);
	}
	fill_upkeep(t, s);
	output_table_age(t, COLUMN_FIRST_READ, s->first_access_ns, seen(s, FIELD_FIRST_ACCESS));
	output_table_age(t, COLUMN_LAST_READ, s->last_access_ns, seen(s, FIELD_LAST_ACCESS));
	output_table_text(t, COLUMN_BACKEND, s->backend[0] ? s->backend : NULL);
	output_table_count(t, COLUMN_MOUNT, s->mount, s->mount != 0);
	output_table_count(t, COLUMN_LAYER, s->layer, s->mount != 0);
	output_table_text(t, COLUMN_MOUNTPOINT, s->mountpoint[0] ? s->mountpoint : NULL);
}

static void print_json(struct output *o, const Varve__V1__Stats *s, bool by_mount)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "id", s->id);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		if (!counters[i].key)
			continue;
		if (seen(s, counters[i].field))
			json_put_uint(&w, counters[i].key, counter_value(s, &counters[i]));
		else
			json_put_null(&w, counters[i].key);
	}
	output_json_time(&w, "firstAccessAt", seen(s, FIELD_FIRST_ACCESS) ? s->first_access_ns : 0);
	output_json_time(&w, "lastAccessAt", seen(s, FIELD_LAST_ACCESS) ? s->last_access_ns : 0);
	output_json_time(&w, "lastWrittenAt", s->last_written_ns);
	cli_records_upkeep_json(&w, s->upkeep, seen(s, FIELD_OPENS));
	json_put_string(&w, "backend", s->backend[0] ? s->backend : "none");
	json_put_uint(&w, "lost", s->lost);
	cli_records_snapshot_json(&w, s->snapshot_key, s->snapshot_kind);
	cli_records_owners_json(&w, s->owners, s->n_owners);
	if (by_mount) {
		json_put_uint(&w, "mount", s->mount);
		json_put_uint(&w, "layer", s->layer);
		json_put_string(&w, "mountpoint", s->mountpoint[0] ? s->mountpoint : NULL);
	}
	json_close_object(&w);
	output_json_line(o, &w);
}

static void print_one(struct cli *c, struct output_table *table, const Varve__V1__Stats *s,
		      bool by_mount)
{
	if (c->line.globals.json) {
		print_json(&c->out, s, by_mount);
	} else if (c->line.globals.quiet) {
		output_text(&c->out, s->id);
	} else {
		output_table_row(table, NULL);
		fill_row(table, s);
	}
}

static int run_by_layer(struct cli *c, bool by_mount, struct error *e)
{
	cleanup(cli_call_free_replies) struct cli_replies replies = { 0 };
	cleanup(output_table_free) struct output_table *table = NULL;
	Varve__V1__StatsRequest request = VARVE__V1__STATS_REQUEST__INIT;
	uint64_t lost = 0;
	int code;

	request.ids = c->line.words;
	request.n_ids = c->line.word_count;
	request.by_mount = by_mount;
	request.ask_owners = cli_records_want_owners(c);
	code = cli_call_all(c, "Stats", &request.base, &varve__v1__stats_batch__descriptor,
			    &replies, e);
	if (code < 0)
		return code;
	table = output_table_new(&c->out, columns,
				 request.by_mount
					 ? "ID,MOUNT,LAYER,OPENS,EXECS,READS,READ,SIZE,WRITES,"
					   "WRITTEN,MMAPS,MAPPED,FILES,UPKEEP,LAST READ,"
					   "MOUNTPOINT"
					 : "ID,DESCRIPTION,OPENS,EXECS,READS,READ,SIZE,WRITES,"
					   "WRITTEN,MMAPS,MAPPED,FILES,UPKEEP,LAST READ");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < replies.count; i++) {
		const Varve__V1__StatsBatch *batch = (Varve__V1__StatsBatch *)replies.items[i];

		for (size_t j = 0; j < batch->n_stats; j++) {
			print_one(c, table, batch->stats[j], request.by_mount);
			if (batch->stats[j]->lost >
			    lost) /* every row has the count of the whole store */
				lost = batch->stats[j]->lost;
		}
	}
	output_table_print(table);
	if (lost > 0 && !c->line.globals.json && !c->line.globals.quiet)
		output_lost(&c->out, lost);
	return 0;
}

/* ---- by reader ---- */

static void print_reader_json(struct output *o, const Varve__V1__Reader *r)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "who", r->reader[0] ? r->reader : NULL);
	json_put_bool(&w, "upkeep", r->upkeep);
	if (r->layers)
		json_put_uint(&w, "layers", r->layers);
	else
		json_put_null(&w, "layers");
	json_put_uint(&w, "opens", r->opens);
	json_put_uint(&w, "reads", r->reads);
	json_put_uint(&w, "readBytes", r->read_bytes);
	output_json_time(&w, "firstReadAt", r->first_read_ns);
	output_json_time(&w, "lastReadAt", r->last_read_ns);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void print_reader(struct cli *c, struct output_table *t, const Varve__V1__Reader *r)
{
	const char *name = r->reader[0] ? r->reader : "other";

	if (c->line.globals.json) {
		print_reader_json(&c->out, r);
		return;
	}
	if (c->line.globals.quiet) {
		output_text(&c->out, name);
		return;
	}
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_WHO, name);
	output_table_count(t, COLUMN_LAYERS, r->layers, r->layers > 0);
	output_table_count(t, r->upkeep ? COLUMN_UPKEEP_OPENS : COLUMN_OPENS, r->opens, true);
	output_table_count(t, r->upkeep ? COLUMN_UPKEEP_READS : COLUMN_READS, r->reads, true);
	output_table_size(t, r->upkeep ? COLUMN_UPKEEP : COLUMN_READ, (int64_t)r->read_bytes, "");
	output_table_age(t, COLUMN_FIRST_READ, r->first_read_ns, true);
	output_table_age(t, COLUMN_LAST_READ, r->last_read_ns, true);
}

static int run_by_who(struct cli *c, struct error *e)
{
	Varve__V1__ReadersRequest request = VARVE__V1__READERS_REQUEST__INIT;
	cleanup(output_table_free) struct output_table *table = NULL;
	cleanup(free_reply) Varve__V1__ReadersReply *reply = NULL;

	request.ids = c->line.words;
	request.n_ids = c->line.word_count;
	reply = cli_call_one(c, "Readers", &request.base, &varve__v1__readers_reply__descriptor, e);
	if (!reply)
		return e->code;
	table = output_table_new(&c->out, columns, "WHO,LAYERS,OPENS,READS,READ,UPKEEP,LAST READ");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < reply->n_readers; i++)
		print_reader(c, table, reply->readers[i]);
	output_table_print(table);
	return 0;
}

enum option { OPTION_MOUNTS, OPTION_BY };

static int read_options(struct cli *c, bool *ret_by_mount, bool *ret_by_who, struct error *e)
{
	for (size_t i = 0; i < c->line.given_count; i++) {
		const struct cli_given *given = &c->line.given[i];

		if (given->option == OPTION_MOUNTS)
			*ret_by_mount = true;
		else if (strcmp(given->value, "who") == 0)
			*ret_by_who = true;
		else
			return cli_usage(c, e, "invalid value '%s' of --by (values: who)",
					 given->value);
	}
	if (*ret_by_mount && *ret_by_who)
		return cli_usage(c, e, "--mounts and --by cannot be combined");
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	bool by_mount = false, by_who = false;
	int code = read_options(c, &by_mount, &by_who, e);

	if (code < 0)
		return code;
	return by_who ? run_by_who(c, e) : run_by_layer(c, by_mount, e);
}

static const struct cli_option options[] = {
	[OPTION_MOUNTS] = { 0, "mounts", NULL, "print a line for each layer of each mount" },
	[OPTION_BY] = { 0, "by", "WHO", "who: print a line for each container and unit that read" },
	{ 0, NULL, NULL, NULL },
};

const struct cli_verb command_stats = {
	.name = "stats",
	.arguments = "[ID...]",
	.summary = "show the access counters of each layer",
	.details = "A dash stands for a value that the backend cannot see; it is not zero.\n"
		   "MAPPED is more than what was touched: the kernel maps up to 16 pages at once.",
	.max_words = CLI_ANY_NUMBER,
	.options = options,
	.columns = columns,
	.run = run,
};
