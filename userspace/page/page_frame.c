/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page_frame.h"

#include <inttypes.h>

#include "base/markup.h"
#include "base/units.h"

#define SHORT_TEXT 24 /* bytes */
#define DASH "–"

static const struct {
	const char *path, *name;
} pages[] = {
	{ "/", "Overview" },	     { "/records", "Records" }, { "/images", "Images and owners" },
	{ "/policies", "Policies" }, { "/regrets", "Regrets" }, { "/events", "Events" },
	{ "/heat", "Heat" },
};

static void append_status(struct strbuf *out, const struct page_status *s)
{
	char time[UNITS_TEXT_MAX];

	strbuf_append(out, "<p class=\"status\">counted by ");
	markup_append(out, s->backend);
	if (s->degraded_reason) {
		strbuf_append(out, " <strong>degraded: ");
		markup_append(out, s->degraded_reason);
		strbuf_append(out, "</strong>");
	}
	strbuf_appendf(out, " · <span%s>lost accesses %" PRIu64 "</span> · ",
		       s->lost ? " class=\"bad\"" : "", s->lost);
	if (s->programs_ns == 0)
		strbuf_append(out, "time in BPF programs not measured (kernel.bpf_stats_enabled)");
	else
		strbuf_appendf(out, "%.3f s in BPF programs, as far as measured",
			       (double)s->programs_ns / 1e9);
	strbuf_appendf(out, " · as of %s</p>\n", units_format_time(s->now_ns, time));
}

void page_begin(struct strbuf *out, const struct page_status *s, const char *title,
		const char *path)
{
	strbuf_append(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
			   "<meta name=\"viewport\" content=\"width=device-width\">"
			   "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	markup_append(out, title);
	strbuf_append(out, " – Varve</title>\n<link rel=\"stylesheet\" href=\"/style.css\">"
			   "<script src=\"/script.js\" defer></script></head>\n<body>"
			   "<header><nav aria-label=\"Pages\"><strong>Varve</strong>");
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		strbuf_appendf(out, " <a href=\"%s\"%s>%s</a>", pages[i].path,
			       strcmp(pages[i].path, path) == 0 ? " aria-current=\"page\"" : "",
			       pages[i].name);
	strbuf_append(out, "</nav>\n");
	append_status(out, s);
	strbuf_append(out, "</header>\n<main><h1>");
	markup_append(out, title);
	strbuf_append(out, "</h1>\n");
}

void page_end(struct strbuf *out)
{
	strbuf_append(out, "</main></body></html>\n");
}

void page_heading(struct strbuf *out, const char *text)
{
	strbuf_append(out, "<h2>");
	markup_append(out, text);
	strbuf_append(out, "</h2>\n");
}

void page_note(struct strbuf *out, const char *text)
{
	strbuf_append(out, "<p>");
	markup_append(out, text);
	strbuf_append(out, "</p>\n");
}

/* ---- tables ---- */

void page_table(struct strbuf *out, const char *const *columns)
{
	strbuf_append(out, "<div class=\"wide\"><table><thead><tr>");
	for (; *columns; columns++) {
		bool number = **columns == '#';

		strbuf_append(out,
			      number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
		markup_append(out, *columns + number);
		strbuf_append(out, "</th>");
	}
	strbuf_append(out, "</tr></thead><tbody>");
}

void page_table_end(struct strbuf *out)
{
	strbuf_append(out, "\n</tbody></table></div>\n");
}

void page_row(struct strbuf *out)
{
	strbuf_append(out, "\n<tr>");
}

void page_cell(struct strbuf *out, const char *text)
{
	/* Only long texts may be broken anywhere, or short ones beside them would be. */
	strbuf_append(out, strlen(text) > SHORT_TEXT ? "<td class=\"t\">" : "<td>");
	markup_append(out, *text ? text : DASH);
	strbuf_append(out, "</td>");
}

void page_cell_size(struct strbuf *out, int64_t bytes)
{
	char size[UNITS_TEXT_MAX];

	if (bytes < 0)
		strbuf_append(out, "<td class=\"n\">" DASH "</td>");
	else
		strbuf_appendf(out, "<td class=\"n\" title=\"%" PRId64 " bytes\">%s</td>", bytes,
			       units_format_size(bytes, size));
}

void page_cell_count(struct strbuf *out, uint64_t count)
{
	strbuf_appendf(out, "<td class=\"n\">%" PRIu64 "</td>", count);
}

void page_cell_record(struct strbuf *out, const char *id, bool short_id)
{
	if (!*id) {
		page_cell(out, "");
		return;
	}
	strbuf_append(out, "<td><a class=\"id\" href=\"/record?id=");
	markup_append_url(out, id);
	strbuf_append(out, "\">");
	if (short_id)
		strbuf_appendf(out, "%.12s", id);
	else
		markup_append(out, id);
	strbuf_append(out, "</a></td>");
}

void page_cell_age(struct strbuf *out, const struct page_status *s, int64_t wall_ns, bool known)
{
	char time[UNITS_TEXT_MAX], age[UNITS_TEXT_MAX];

	if (!known)
		page_cell(out, "");
	else if (wall_ns == 0)
		page_cell(out, "never");
	else
		strbuf_appendf(out, "<td><time datetime=\"%s\" title=\"%s\">%s</time></td>",
			       units_format_time(wall_ns, time), time,
			       units_format_age(wall_ns, s->now_ns, age));
}
