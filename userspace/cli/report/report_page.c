/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report/report_page.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/markup.h"
#include "base/units.h"

#define IMAGES_SHOWN 10

/* Where a page goes: one of the two is set. */
struct page {
	struct output *text;
	struct strbuf *html;
};

static void begin_section(const struct page *p, const char *title)
{
	if (p->text) {
		output_text(p->text, "");
		output_text(p->text, title);
		return;
	}
	strbuf_append(p->html, "<h2>");
	markup_append(p->html, title);
	strbuf_append(p->html, "</h2>\n<table>\n");
}

static void end_section(const struct page *p)
{
	if (p->html)
		strbuf_append(p->html, "</table>\n");
}

static void add_fact(const struct page *p, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_fact(const struct page *p, const char *label, const char *format, ...)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	cleanup(free_ptr) char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		value = NULL;
	va_end(args);
	if (p->text) {
		strbuf_appendf(&line, "  %-30s %s", label, value ? value : "");
		output_text(p->text, line.text ? line.text : "");
		return;
	}
	strbuf_append(p->html, "<tr><th scope=\"row\">");
	markup_append(p->html, label);
	strbuf_append(p->html, "</th><td>");
	markup_append(p->html, value ? value : "");
	strbuf_append(p->html, "</td></tr>\n");
}

static void add_amount(const struct page *p, const char *label, const struct report_amount *a,
		       const char *unit)
{
	char size[UNITS_TEXT_MAX];

	add_fact(p, label, "%s in %" PRIu64 " %s", units_format_size(a->bytes, size), a->layers,
		 unit);
}

static void write_reads(const struct page *p, const struct report_facts *f)
{
	char age[UNITS_TEXT_MAX];

	begin_section(p, "What is not read");
	add_amount(p, "all layers", &f->all, "layers");
	if (f->unmeasured.layers > 0)
		add_fact(p, "not measured",
			 "%" PRIu64 " layers are not in these sums (varve du "
			 "measures them)",
			 f->unmeasured.layers);
	add_amount(p, "never read", &f->never_read, "layers");
	add_amount(p, "not read for 30 days", &f->cold, "layers");
	if (f->incomplete.layers > 0)
		add_amount(p, "perhaps never read", &f->incomplete,
			   "layers, which may have been read without a count");
	add_fact(p, "only layers older than", "%s",
		 f->older_than_ns ? units_format_duration(f->older_than_ns, age) : "0s");
	add_fact(p, "counted by", "%s, %" PRIu64 " accesses lost", f->backend, f->lost);
	end_section(p);
}

static void write_images(const struct page *p, const struct report_facts *f)
{
	char size[UNITS_TEXT_MAX], age[UNITS_TEXT_MAX];

	begin_section(p, "Images of which one file was read");
	for (size_t i = 0; i < f->image_count && i < IMAGES_SHOWN; i++)
		add_fact(p, f->images[i].name, "%s, last read %s",
			 units_format_size(f->images[i].bytes, size),
			 units_format_age(f->images[i].last_read_ns, f->now_ns, age));
	if (f->image_count > IMAGES_SHOWN)
		add_fact(p, "and more", "%zu", f->image_count - IMAGES_SHOWN);
	if (f->image_count == 0)
		add_fact(p, "none", "%s", "");
	if (f->images_problem)
		add_fact(p, "may be incomplete", "%s", f->images_problem);
	end_section(p);
}

static void write_duplicates(const struct page *p, const struct report_facts *f)
{
	const Varve__V1__DuplicatesReply *d = f->duplicates;
	char size[UNITS_TEXT_MAX], hashed[UNITS_TEXT_MAX];

	begin_section(p, "Files that are in several layers");
	if (!d) {
		add_fact(p, "not known", "%s", f->duplicates_problem ? f->duplicates_problem : "");
		end_section(p);
		return;
	}
	add_fact(p, "duplicates", "%s%s in %" PRIu64 " files", d->complete ? "" : "at least ",
		 units_format_size(d->duplicate_bytes, size), d->duplicate_files);
	add_fact(p, "sampled",
		 "%" PRIu64 " of %" PRIu64 " layers, %" PRIu64
		 " files of 16 KiB and more, %s compared by digest%s",
		 d->layers_walked, d->layers, d->files, units_format_size(d->hashed_bytes, hashed),
		 d->complete ? "" : "; not everything was reached");
	for (size_t i = 0; i < d->n_largest; i++)
		add_fact(p, i == 0 ? "largest" : "", "%s in %" PRIu64 " layers: %s",
			 units_format_size(d->largest[i]->size, size), d->largest[i]->layers,
			 d->largest[i]->path);
	end_section(p);
}

static void write_eviction(const struct page *p, const struct report_facts *f)
{
	char size[UNITS_TEXT_MAX], cost[UNITS_TEXT_MAX];

	begin_section(p, "What the policies would evict now");
	for (size_t i = 0; i < f->policy_count; i++) {
		const struct report_policy *policy = &f->policies[i];

		if (policy->problem)
			add_fact(p, policy->name, "not known: %s", policy->problem);
		else
			add_fact(p, policy->name, "%" PRIu64 " records, %s", policy->records,
				 units_format_size(policy->bytes, size));
	}
	if (f->policy_count == 0)
		add_fact(p, "none", "no policies are configured");
	end_section(p);
	begin_section(p, "What eviction cost in the last 30 days");
	add_amount(p, "evicted", &f->evicted, "layers");
	add_fact(p, "made again", "%s in %" PRIu64 " layers, which took %s",
		 units_format_size(f->regretted.bytes, size), f->regretted.layers,
		 units_format_about((double)f->regretted_cost_ns / (double)NS_PER_S, cost));
	end_section(p);
}

static void write_changes(const struct page *p, const struct report_facts *f)
{
	char size[UNITS_TEXT_MAX], label[64];
	size_t shown = 0;

	begin_section(p, "What would save most");
	for (; shown < f->change_count && shown < REPORT_CHANGES; shown++) {
		const struct report_change *change = &f->changes[shown];

		if (change->bytes == 0)
			break;
		(void)snprintf(label, sizeof(label), "%zu. %s", shown + 1,
			       units_format_size(change->bytes, size));
		add_fact(p, label, "%s", change->what);
		if (change->command)
			add_fact(p, "", "%s", change->command);
	}
	if (shown == 0)
		add_fact(p, "nothing", "no layer is older than the limit and not read");
	end_section(p);
}

static void write_all(const struct page *p, const struct report_facts *f)
{
	write_changes(p, f);
	write_reads(p, f);
	write_images(p, f);
	write_duplicates(p, f);
	write_eviction(p, f);
}

void report_page_text(struct output *o, const struct report_facts *f)
{
	char time[UNITS_TEXT_MAX], line[UNITS_TEXT_MAX + 32];

	(void)snprintf(line, sizeof(line), "Waste report of %s",
		       units_format_time(f->now_ns - f->now_ns % NS_PER_S, time));
	output_text(o, line);
	write_all(&(struct page){ .text = o }, f);
}

void report_page_html(struct strbuf *out, const struct report_facts *f)
{
	char time[UNITS_TEXT_MAX];

	strbuf_append(
		out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<title>Varve: waste report</title>\n<style>\n"
		":root { color-scheme: light dark }\n"
		"body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem "
		"auto; padding: 0 1rem }\n"
		"h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem }\n"
		"table { border-collapse: collapse; width: 100% }\n"
		"th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; "
		"border-bottom: 1px solid #8884; overflow-wrap: anywhere }\n"
		"th { font-weight: normal; width: 35% }\n</style>\n</head>\n<body>\n"
		"<h1>Waste report</h1>\n<p>Of ");
	strbuf_append(out, units_format_time(f->now_ns - f->now_ns % NS_PER_S, time));
	strbuf_append(out, "</p>\n");
	write_all(&(struct page){ .html = out }, f);
	strbuf_append(out, "</body>\n</html>\n");
}
