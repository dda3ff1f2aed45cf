/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cli/commands.h"
#include "cli/report/report_gather.h"
#include "cli/report/report_page.h"

#define OLDER_THAN_NS (24 * 3600 * INT64_C(1000000000))

enum option { OPTION_FORMAT, OPTION_OLDER_THAN };

static const struct cli_option options[] = {
	[OPTION_FORMAT] = { 'f', "format", "FORMAT", "text (the default) or html" },
	[OPTION_OLDER_THAN] = { 0, "older-than", "TIME", "only layers made before that (1d)" },
	{ 0, NULL, NULL, NULL },
};

static void write_amount(struct json_writer *w, const char *key, const struct report_amount *a)
{
	json_open_object(w, key);
	json_put_uint(w, "layers", a->layers);
	json_put_int(w, "bytes", a->bytes);
	json_close_object(w);
}

static void write_duplicates(struct json_writer *w, const Varve__V1__DuplicatesReply *d)
{
	if (!d) {
		json_put_null(w, "duplicates");
		return;
	}
	json_open_object(w, "duplicates");
	json_put_int(w, "bytes", d->duplicate_bytes);
	json_put_uint(w, "files", d->duplicate_files);
	json_put_bool(w, "complete", d->complete);
	json_put_uint(w, "layers", d->layers);
	json_put_uint(w, "layersSampled", d->layers_walked);
	json_put_int(w, "bytesCompared", d->hashed_bytes);
	json_open_array(w, "largest");
	for (size_t i = 0; i < d->n_largest; i++) {
		json_open_object(w, NULL);
		json_put_string(w, "path", d->largest[i]->path);
		json_put_string(w, "record",
				d->largest[i]->record[0] ? d->largest[i]->record : NULL);
		json_put_int(w, "size", d->largest[i]->size);
		json_put_uint(w, "layers", d->largest[i]->layers);
		json_close_object(w);
	}
	json_close_array(w);
	json_close_object(w);
}

static void write_lists(struct json_writer *w, const struct report_facts *f)
{
	json_open_array(w, "imagesWithOneFileRead");
	for (size_t i = 0; i < f->image_count; i++) {
		json_open_object(w, NULL);
		json_put_string(w, "name", f->images[i].name);
		json_put_int(w, "size", f->images[i].bytes);
		output_json_time(w, "lastReadAt", f->images[i].last_read_ns);
		json_close_object(w);
	}
	json_close_array(w);
	json_open_array(w, "policies");
	for (size_t i = 0; i < f->policy_count; i++) {
		json_open_object(w, NULL);
		json_put_string(w, "name", f->policies[i].name);
		json_put_string(w, "problem", f->policies[i].problem);
		json_put_uint(w, "records", f->policies[i].records);
		json_put_int(w, "bytes", f->policies[i].bytes);
		json_close_object(w);
	}
	json_close_array(w);
	json_open_array(w, "changes");
	for (size_t i = 0; i < f->change_count && i < REPORT_CHANGES; i++) {
		json_open_object(w, NULL);
		json_put_string(w, "what", f->changes[i].what);
		json_put_string(w, "command", f->changes[i].command);
		json_put_int(w, "bytes", f->changes[i].bytes);
		json_close_object(w);
	}
	json_close_array(w);
}

static void print_json(struct output *o, const struct report_facts *f)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	output_json_time(&w, "at", f->now_ns);
	json_put_string(&w, "backend", f->backend);
	json_put_uint(&w, "lost", f->lost);
	write_amount(&w, "all", &f->all);
	json_put_uint(&w, "unmeasuredLayers", f->unmeasured.layers);
	write_amount(&w, "neverRead", &f->never_read);
	write_amount(&w, "notReadFor30Days", &f->cold);
	write_amount(&w, "perhapsNeverRead", &f->incomplete);
	write_amount(&w, "evicted", &f->evicted);
	write_amount(&w, "madeAgain", &f->regretted);
	json_put_double(&w, "madeAgainSeconds", (double)f->regretted_cost_ns / 1e9);
	write_duplicates(&w, f->duplicates);
	write_lists(&w, f);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void print_html(struct output *o, const struct report_facts *f)
{
	cleanup(strbuf_free) struct strbuf page = { 0 };

	report_page_html(&page, f);
	if (strbuf_failed(&page))
		o->failed = true;
	else
		(void)fputs(page.text, stdout); /* output_flush() checks stdout */
}

static int run(struct cli *c, struct error *e)
{
	cleanup(report_facts_free) struct report_facts f = { 0 };
	int64_t older_than_ns = OLDER_THAN_NS;
	bool html = false;
	int code;

	for (size_t i = 0; i < c->line.given_count; i++) {
		const char *value = c->line.given[i].value;

		if (c->line.given[i].option == OPTION_OLDER_THAN) {
			if (units_parse_duration(value, &older_than_ns) < 0)
				return cli_usage(c, e,
						 "invalid duration '%s' (examples: 0s, 72h, 7d)",
						 value);
		} else if (strcmp(value, "html") == 0 || strcmp(value, "text") == 0) {
			html = strcmp(value, "html") == 0;
		} else {
			return cli_usage(c, e, "invalid format '%s' (text or html)", value);
		}
	}
	if (html && c->line.globals.json)
		return cli_usage(c, e, "--json and --format html cannot be combined");
	code = report_gather(c, older_than_ns, &f, e);
	if (code < 0)
		return code;
	if (c->line.globals.json)
		print_json(&c->out, &f);
	else if (html)
		print_html(&c->out, &f);
	else
		report_page_text(&c->out, &f);
	return 0;
}

const struct cli_verb command_report = {
	.name = "report",
	.arguments = "",
	.summary = "show what is waste, and what would save most",
	.details = "Deletes nothing. Files are compared for five seconds, and 256 MiB, at most.",
	.max_words = 0,
	.options = options,
	.run = run,
};
