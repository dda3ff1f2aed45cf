/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli_call.h"
#include "cli/cli_records.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum option { OPTION_HOT, OPTION_NEVER_READ, OPTION_NUMBER, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_HOT] = { 0, "hot", NULL, "list the most opened files first" },
	[OPTION_NEVER_READ] = { 0, "never-read", NULL, "list only files that were never read" },
	[OPTION_NUMBER] = { 'n', "number", "N", "list at most N files" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_PATH,
	COLUMN_SIZE,
	COLUMN_OPENS,
	COLUMN_READ,
	COLUMN_MAPPED,
	COLUMN_LAST_READ,
	COLUMN_END
};

static const struct output_column columns[] = {
	[COLUMN_PATH] = { "PATH", "path in the layer", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_SIZE] = { "SIZE", "size of the file", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_OPENS] = { "OPENS", "number of opens", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_READ] = { "READ", "bytes read", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_MAPPED] = { "MAPPED",
			    "bytes mapped in by faults: at most so many were touched through mappings",
			    OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_LAST_READ] = { "LAST READ", "the last access to it", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

struct files {
	struct cli *c;
	Varve__V1__FilesRequest request;
	uint32_t limit; /* 0: none */
	struct cli_replies replies;
	bool counted; /* some backend is counting */
	uint64_t lost;
	struct cli_records records; /* the one that it is about, with the names of owners */
	/* Of this layer; 0 in complete_since_ns: nothing is missing. */
	uint64_t layer_lost;
	int64_t complete_since_ns;
	bool mapped_seen;
};

struct tally {
	uint64_t count;
	int64_t bytes;
};

static void tally_add(struct tally *t, const Varve__V1__File *file)
{
	t->count++;
	if (file->size > 0)
		t->bytes += file->size;
}

static bool was_read(const Varve__V1__File *file)
{
	return file->opens > 0 || file->read_bytes > 0 || file->mapped_bytes > 0 ||
	       file->last_access_ns != 0;
}

/* Counts the files that are in the layer now: those that were read, and those that were not. */
static void tally_files(const struct cli_replies *replies, struct tally *read, struct tally *unread)
{
	for (size_t i = 0; i < replies->count; i++) {
		const Varve__V1__FileBatch *batch = (Varve__V1__FileBatch *)replies->items[i];

		for (size_t j = 0; j < batch->n_files; j++)
			if (!batch->files[j]->deleted)
				tally_add(was_read(batch->files[j]) ? read : unread,
					  batch->files[j]);
	}
}

/* Without a backend a 0 means "unknown", and so it does where accesses were lost. */
static bool is_known(const struct files *f, const Varve__V1__File *file)
{
	return (f->counted && f->complete_since_ns == 0) || was_read(file);
}

static void note_completeness(struct files *f)
{
	const Varve__V1__FileBatch *batch;

	if (f->replies.count == 0)
		return;
	batch = (Varve__V1__FileBatch *)f->replies.items[0];
	f->layer_lost = batch->lost;
	f->complete_since_ns = batch->complete_since_ns;
	f->mapped_seen = !batch->mapped_unseen;
}

/* -1: not known. */
static int64_t mapped_bytes(const struct files *f, const Varve__V1__File *file)
{
	return f->mapped_seen && is_known(f, file) ? (int64_t)file->mapped_bytes : -1;
}

static void print_json(struct files *f, const Varve__V1__File *file)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "path", file->path);
	output_json_size(&w, "size", file->size);
	if (is_known(f, file)) {
		json_put_uint(&w, "opens", file->opens);
		json_put_uint(&w, "readBytes", file->read_bytes);
	} else {
		json_put_null(&w, "opens");
		json_put_null(&w, "readBytes");
	}
	output_json_size(&w, "mappedBytes", mapped_bytes(f, file));
	output_json_time(&w, "lastAccessAt", file->last_access_ns);
	json_put_bool(&w, "deleted", file->deleted);
	json_put_bool(&w, "mayBeIncomplete", f->complete_since_ns != 0);
	json_close_object(&w);
	output_json_line(&f->c->out, &w);
}

static void print_file(struct files *f, struct output_table *table, const Varve__V1__File *file)
{
	bool known = is_known(f, file);
	char path[PATH_MAX + 16];

	if (f->c->line.globals.json) {
		print_json(f, file);
	} else if (f->c->line.globals.quiet) {
		output_text(&f->c->out, file->path);
	} else {
		output_table_row(table, NULL);
		(void)snprintf(path, sizeof(path), "%s%s", file->path,
			       file->deleted ? " (deleted)" : "");
		output_table_text(table, COLUMN_PATH, path);
		output_table_size(table, COLUMN_SIZE, file->size, "");
		output_table_count(table, COLUMN_OPENS, file->opens, known);
		output_table_size(table, COLUMN_READ, known ? (int64_t)file->read_bytes : -1, "");
		output_table_size(table, COLUMN_MAPPED, mapped_bytes(f, file), "");
		output_table_age(table, COLUMN_LAST_READ, file->last_access_ns, known);
	}
}

static int print_files(struct files *f, struct error *e)
{
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&f->c->out, columns, "PATH,SIZE,OPENS,READ,MAPPED,LAST READ");
	uint32_t printed = 0;

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < f->replies.count; i++) {
		const Varve__V1__FileBatch *batch = (Varve__V1__FileBatch *)f->replies.items[i];

		for (size_t j = 0; j < batch->n_files; j++) {
			if (f->limit > 0 && printed == f->limit)
				break;
			print_file(f, table, batch->files[j]);
			printed++;
		}
	}
	output_table_print(table);
	return 0;
}

/*
 * The summary needs both the files that were read and those that were not. If the first reply has
 * only one of the two, the other is requested.
 */
static int count_halves(struct files *f, struct tally *read, struct tally *unread, struct error *e)
{
	cleanup(cli_call_free_replies) struct cli_replies others = { 0 };
	Varve__V1__FilesRequest request = VARVE__V1__FILES_REQUEST__INIT;
	struct tally known = { 0 };
	bool never_read = f->request.never_read;
	int code;

	tally_files(&f->replies, never_read ? unread : read, unread);
	if (!never_read && unread->count > 0)
		return 0; /* the reply had both */
	request.id = f->request.id;
	request.never_read = !never_read;
	code = cli_call_all(f->c, "Files", &request.base, &varve__v1__file_batch__descriptor,
			    &others, e);
	if (code < 0)
		return code;
	tally_files(&others, never_read ? read : unread, never_read ? &known : unread);
	return 0;
}

/* Of this layer, and not only of the host: a file without counts is not one that was never read. */
static void print_incomplete(struct files *f)
{
	char age[UNITS_TEXT_MAX], text[256];

	(void)snprintf(
		text, sizeof(text),
		"this may be incomplete: until %s %" PRIu64
		" accesses of files in this layer could not be counted; files without counts "
		"may have been read",
		units_format_age(f->complete_since_ns, clock_wall_ns(), age), f->layer_lost);
	output_text(&f->c->out, text);
}

static int print_summary(struct files *f, struct error *e)
{
	struct output *o = &f->c->out;
	struct tally read = { 0 }, unread = { 0 };
	char read_size[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX], text[160];
	int code = count_halves(f, &read, &unread, e);

	if (code < 0)
		return code;
	if (!f->counted && read.count == 0) {
		output_text(o,
			    "accesses are not counted (see varve doctor), so it is unknown whether "
			    "these files were read");
		return 0;
	}
	(void)snprintf(text, sizeof(text), "%s%" PRIu64 " of %" PRIu64 " files were read, %s of %s",
		       f->complete_since_ns ? "at least " : "", read.count,
		       read.count + unread.count, output_size(o, read.bytes, read_size),
		       output_size(o, read.bytes + unread.bytes, size));
	output_text(o, text);
	if (f->complete_since_ns)
		print_incomplete(f);
	else if (f->lost > 0)
		output_lost(o, f->lost);
	return 0;
}

/* The accesses to one record may be unknown, although a backend counts. */
static int ask_for_record(struct files *f, struct error *e)
{
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	int code;

	request.ids = &f->request.id;
	request.n_ids = 1;
	request.ask_owners = !f->c->line.globals.json && !f->c->line.globals.quiet;
	code = cli_records_fetch(f->c, &request, &f->records, e);
	if (code == 0 && f->records.count == 1)
		f->counted &= cli_records_access_known(f->records.items[0]);
	return code;
}

static void print_owners(const struct files *f)
{
	const Varve__V1__Record *r = f->records.count == 1 ? f->records.items[0] : NULL;

	for (size_t i = 0; r && i < r->n_owners; i++) {
		cleanup(strbuf_free) struct strbuf line = { 0 };

		strbuf_appendf(&line, "%s: %s %s", r->owners[i]->owner, r->owners[i]->kind,
			       r->owners[i]->id);
		if (!strbuf_failed(&line))
			output_text(&f->c->out, line.text);
	}
}

static int ask_agent(struct files *f, struct error *e)
{
	cleanup(free_reply) Varve__V1__InfoReply *info = NULL;
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;
	int code;

	info = cli_call_one(f->c, "Info", &empty.base, &varve__v1__info_reply__descriptor, e);
	if (!info)
		return e->code;
	f->counted = strcmp(info->backend, "none") != 0;
	f->lost = info->lost;
	code = ask_for_record(f, e);
	if (code < 0)
		return code;
	code = cli_call_all(f->c, "Files", &f->request.base, &varve__v1__file_batch__descriptor,
			    &f->replies, e);
	note_completeness(f);
	return code;
}

static int parse_number(struct cli *c, const char *text, uint32_t *ret_number, struct error *e)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number == 0 ||
	    number > UINT32_MAX)
		return cli_usage(c, e, "invalid number '%s' for -n (1 or more)", text);
	*ret_number = (uint32_t)number;
	return 0;
}

static int read_options(struct files *f, struct error *e)
{
	struct cli *c = f->c;

	for (size_t i = 0; i < c->line.given_count; i++) {
		const struct cli_given *given = &c->line.given[i];

		if (given->option == OPTION_HOT)
			f->request.hot = true;
		else if (given->option == OPTION_NEVER_READ)
			f->request.never_read = true;
		else if (parse_number(c, given->value, &f->limit, e) < 0)
			return e->code;
	}
	if (f->request.hot && f->request.never_read)
		return cli_usage(c, e, "--hot and --never-read cannot be combined");
	return 0;
}

static void files_free(struct files *f)
{
	cli_call_free_replies(&f->replies);
	cli_records_free(&f->records);
}

DEFINE_CLEANUP_VALUE(struct files, files_free)

static int run(struct cli *c, struct error *e)
{
	cleanup(files_free) struct files f = { .c = c, .request = VARVE__V1__FILES_REQUEST__INIT };
	bool table = !c->line.globals.json && !c->line.globals.quiet;
	int code = read_options(&f, e);

	if (code < 0)
		return code;
	f.request.id = c->line.words[0];
	f.request.limit = table ? 0 : f.limit; /* the summary counts all files */
	code = ask_agent(&f, e);
	if (code < 0)
		return code;
	code = print_files(&f, e);
	if (code < 0 || !table)
		return code;
	code = print_summary(&f, e);
	if (code == 0)
		print_owners(&f);
	return code;
}

const struct cli_verb command_files = {
	.name = "files",
	.arguments = "ID",
	.summary = "show which files of a layer were accessed",
	.min_words = 1,
	.max_words = 1,
	.options = options,
	.columns = columns,
	.run = run,
};
