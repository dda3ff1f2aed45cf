/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/vec.h"
#include "cli/top/top_header.h"
#include "cli/top/top_lists.h"
#include "cli/top/top_text.h"

#define BATCH_COLUMNS 100 /* of header lines */

void top_screen_free(struct top_screen *screen)
{
	for (size_t i = 0; i < screen->count; i++)
		free(screen->lines[i].text);
	free(screen->lines);
	screen->lines = NULL;
	screen->count = screen->capacity = 0;
}

/* Takes the text. */
static void add(struct top_screen *screen, struct strbuf *text, enum top_style style)
{
	struct top_line *lines =
		vec_reserve(screen->lines, &screen->capacity, screen->count + 1, sizeof(*lines));
	char *taken;

	if (!text->text)
		strbuf_append(text, "");
	taken = strbuf_take(text);
	if (lines)
		screen->lines = lines;
	if (!lines || !taken) {
		screen->failed = true;
		free(taken);
		return;
	}
	screen->lines[screen->count++] = (struct top_line){ taken, style };
}

static void add_text(struct top_screen *screen, const char *text, enum top_style style)
{
	struct strbuf line = { 0 };

	if (screen->frame.columns > 0)
		top_text_fit(&line, text, screen->frame.columns, false, screen->frame.utf8);
	else
		strbuf_append(&line, text);
	add(screen, &line, style);
	strbuf_free(&line);
}

/* How many lines the header may take. */
static size_t header_lines(const struct top_screen *screen)
{
	if (screen->frame.rows == 0)
		return SIZE_MAX;
	return screen->frame.rows >= 20 ? 4 : screen->frame.rows >= 12 ? 3 : 1;
}

/* As many facts in each line as fit. */
static void add_header(struct top_screen *screen, const struct top_state *s)
{
	size_t width = screen->frame.columns > 0 ? screen->frame.columns : BATCH_COLUMNS;
	enum top_style style = s->live && s->live->lost > 0 ? TOP_STYLE_WARNING : TOP_STYLE_HEADER;
	cleanup(strbuf_free) struct strbuf line = { 0 };
	size_t lines = 0, most = header_lines(screen);
	struct top_header h;

	top_header_fill(&h, &screen->frame, s);
	for (size_t i = 0; i < h.count && lines < most; i++) {
		size_t taken = line.length ? top_text_columns(line.text) + 3 : 0;

		if (line.length && taken + top_text_columns(h.facts[i]) > width) {
			add_text(screen, line.text, style);
			strbuf_reset(&line);
			style = TOP_STYLE_HEADER;
			lines++;
		}
		strbuf_appendf(&line, "%s%s", line.length ? "   " : "", h.facts[i]);
	}
	if (line.length && lines < most)
		add_text(screen, line.text, style);
}

/* The agent is away, or does not count. */
static void add_warnings(struct top_screen *screen, const struct top_state *s)
{
	char text[512], clock[TOP_TEXT_MAX];

	if (s->away_ns) {
		(void)snprintf(text, sizeof(text), "agent away since %s, trying again: %s",
			       top_text_clock(s->away_ns, clock), s->away_why);
		add_text(screen, text, TOP_STYLE_WARNING);
	} else if (s->live && s->live->degraded_reason[0]) {
		(void)snprintf(text, sizeof(text), "accounting is degraded: %s",
			       s->live->degraded_reason);
		add_text(screen, text, TOP_STYLE_WARNING);
	}
	if (screen->frame.batch && s->notice[0])
		add_text(screen, s->notice, TOP_STYLE_PLAIN);
}

static void append_order(struct strbuf *line, const struct top_state *s)
{
	if (s->view == TOP_RECORDS || s->view == TOP_LAYERS) {
		strbuf_appendf(line, "   order %s%s   %" PRIu64 " match", top_state_sorts[s->sort],
			       s->reverse ? " reversed" : "", s->live ? s->live->matching : 0);
		if (s->filter[0])
			strbuf_appendf(line, "   filter %s", s->filter);
	}
	if (s->view == TOP_FILES && s->files_id[0]) {
		char clock[TOP_TEXT_MAX];

		strbuf_appendf(line, "   of %.12s as of %s", s->files_id,
			       s->files_ns ? top_text_clock(s->files_ns, clock) : "now");
	}
}

static void add_views(struct top_screen *screen, const struct top_state *s)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };

	if (screen->frame.batch) {
		strbuf_appendf(&line, "view %s", top_state_views[s->view]);
	} else {
		for (size_t i = 0; i < TOP_VIEW_COUNT; i++)
			strbuf_appendf(&line, i == s->view ? "%s[%s]" : "%s%s", i > 0 ? " " : "",
				       top_state_views[i]);
	}
	append_order(&line, s);
	if (strbuf_failed(&line))
		screen->failed = true;
	else
		add_text(screen, line.text, TOP_STYLE_PLAIN);
}

static const char *empty_text(const struct top_state *s)
{
	switch (s->view) {
	case TOP_FILES:
		return s->files_id[0] ? "no file of this record was read"
				      : "choose a record in the view of records, and press f";
	case TOP_WHO:
		return "nothing was read yet";
	case TOP_OWNERS:
		return "no owners are configured";
	case TOP_EVICTION:
		return "no policies are configured";
	default:
		return s->filter[0] ? "no record matches" : "no records";
	}
}

static void add_list(struct top_screen *screen, const struct top_state *s, size_t rows)
{
	size_t shown = 0;

	if (top_state_rows(s) == 0) {
		add_text(screen, empty_text(s), TOP_STYLE_PLAIN);
		return;
	}
	for (size_t row = s->first; shown < rows; row++, shown++) {
		struct strbuf line = { 0 };
		enum top_style style;

		if (!top_lists_row(&line, &screen->frame, s, row, &style)) {
			strbuf_free(&line);
			return;
		}
		if (!screen->frame.batch && row == s->selected)
			style = TOP_STYLE_SELECTED;
		add(screen, &line, style);
		strbuf_free(&line);
	}
}

/* Below the policies: what happened. */
static void add_events(struct top_screen *screen, const struct top_state *s, size_t rows)
{
	size_t skip = 0, count = 0;

	for (size_t i = 0; i < s->events.count; i++)
		count += ((Varve__V1__EventBatch *)s->events.items[i])->n_events;
	if (count == 0 || rows < 2)
		return;
	add_text(screen, "TIME      EVENT        RECORD       SIZE   BY, DETAIL",
		 TOP_STYLE_HEADINGS);
	rows--;
	if (rows > TOP_EVENTS)
		rows = TOP_EVENTS;
	if (count > rows)
		skip = count - rows; /* the newest ones */
	for (size_t i = 0; i < s->events.count; i++) {
		const Varve__V1__EventBatch *b = (Varve__V1__EventBatch *)s->events.items[i];

		for (size_t k = 0; k < b->n_events; k++) {
			const Varve__V1__Event *event = b->events[k];
			char clock[TOP_TEXT_MAX], size[TOP_TEXT_MAX], text[512];

			if (skip > 0) {
				skip--;
				continue;
			}
			(void)snprintf(text, sizeof(text), "%s %-12s %-12.12s %-6s %s %s",
				       top_text_clock(event->time_ns, clock), event->event,
				       event->record, top_text_size(event->size, false, size),
				       event->by, event->detail);
			add_text(screen, text, TOP_STYLE_PLAIN);
		}
	}
}

static void add_page(struct top_screen *screen, const struct top_state *s, size_t rows)
{
	const char *at = s->page.text ? s->page.text : "";

	for (size_t i = 0; *at && i < s->page_first + rows; i++) {
		const char *end = strchrnul(at, '\n');
		cleanup(strbuf_free) struct strbuf line = { 0 };

		strbuf_append_bytes(&line, at, (size_t)(end - at));
		if (i >= s->page_first)
			add_text(screen, line.text ? line.text : "", TOP_STYLE_PLAIN);
		at = *end ? end + 1 : end;
	}
}

static void add_keys(struct top_screen *screen, const struct top_state *s)
{
	char text[TOP_INPUT_SIZE + 80];

	switch (s->mode) {
	case TOP_ASK_FILTER:
		(void)snprintf(text, sizeof(text), "Filter: %s_", s->input);
		break;
	case TOP_ASK_PLAN:
		(void)snprintf(text, sizeof(text), "Plan a prune; keep (10G, 50%%) or policy: %s_",
			       s->input);
		break;
	case TOP_PAGE:
		(void)snprintf(text, sizeof(text), "up, down, PgUp, PgDn scroll   q back");
		break;
	default:
		(void)snprintf(text, sizeof(text), "%s",
			       s->notice[0] ? s->notice
					    : "q quit  ? help  Tab view  Enter detail  e explain  "
					      "f files  p pin  P plan  / filter  s order");
	}
	add_text(screen, text, s->notice[0] ? TOP_STYLE_WARNING : TOP_STYLE_KEYS);
}

static void fill_up(struct top_screen *screen, size_t to)
{
	while (screen->count < to && !screen->failed)
		add_text(screen, "", TOP_STYLE_PLAIN);
}

static void draw_body(struct top_screen *screen, struct top_state *s, size_t rows)
{
	if (s->mode == TOP_PAGE) {
		add_page(screen, s, rows + 1);
		return;
	}
	struct strbuf headings = { 0 };
	size_t before;

	top_lists_headings(&headings, &screen->frame, s);
	add(screen, &headings, TOP_STYLE_HEADINGS);
	strbuf_free(&headings);
	before = screen->count;
	add_list(screen, s, rows);
	if (s->view == TOP_EVICTION && rows > screen->count - before)
		add_events(screen, s, rows - (screen->count - before));
}

void top_screen_draw(struct top_screen *screen, struct top_state *s)
{
	size_t rows;

	add_header(screen, s);
	add_warnings(screen, s);
	if (screen->frame.rows == 0 || screen->frame.rows >= 8)
		add_views(screen, s);
	if (screen->frame.rows == 0) {
		draw_body(screen, s, SIZE_MAX);
		return;
	}
	rows = screen->frame.rows > screen->count + 2 ? screen->frame.rows - screen->count - 2 : 1;
	s->page_rows = rows;
	draw_body(screen, s, rows);
	if (screen->frame.rows >= 4) {
		fill_up(screen, screen->frame.rows - 1);
		while (screen->count > screen->frame.rows - 1)
			free(screen->lines[--screen->count].text);
		add_keys(screen, s);
	}
}
