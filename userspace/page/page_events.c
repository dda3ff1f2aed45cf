/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page_events.h"

#include <inttypes.h>

#include "base/markup.h"
#include "base/units.h"

static void write_event(struct strbuf *out, const struct page_status *s,
			const struct ring_event *event)
{
	page_row(out);
	page_cell_age(out, s, event->at_ns, true);
	page_cell(out, event_ring_kind_name(event->kind));
	page_cell_record(out, event->record, true);
	page_cell_size(out, event->bytes);
	page_cell(out, event->by);
	page_cell(out, event->plan);
	page_cell(out, event->detail);
}

static void write_form(struct strbuf *out, const char *record)
{
	strbuf_append(out, "<form action=\"/events\" method=\"get\"><label>Record<input "
			   "name=\"record\" value=\"");
	markup_append(out, record);
	strbuf_append(out, "\"></label><button>Show</button></form>\n");
}

void page_events_write(struct strbuf *out, const struct page_status *s,
		       const struct ring_event *events, size_t count, const char *record)
{
	static const char *const columns[] = { "Time", "Event", "Record", "#Size",
					       "By",   "Plan",	"Detail", NULL };
	size_t shown = 0;

	page_begin(out, s, "Events", "/events");
	page_note(out,
		  "Since the agent was started; the newest come first (varve events -f follows "
		  "them).");
	write_form(out, record);
	page_table(out, columns);
	for (size_t i = count; i-- > 0 && shown < PAGE_EVENTS;) {
		if (*record && strncmp(events[i].record, record, strlen(record)) != 0)
			continue;
		write_event(out, s, &events[i]);
		shown++;
	}
	page_table_end(out);
	if (shown == PAGE_EVENTS)
		page_note(out, "Older events are not shown.");
	page_end(out);
}

static void write_seconds(struct strbuf *out, int64_t ms)
{
	strbuf_appendf(out, "<td class=\"n\">%.1f s</td>", (double)ms / 1000);
}

void page_regrets_write(struct strbuf *out, const struct page_status *s,
			const struct history_regret *regrets, size_t count, int64_t since_ns)
{
	static const char *const columns[] = { "By",	    "#Evicted",	 "#Size",     "#Again 24h",
					       "#Size 24h", "#Cost 24h", "#Again 7d", "#Size 7d",
					       "#Cost 7d",  NULL };
	char age[UNITS_TEXT_MAX];

	page_begin(out, s, "Regrets", "/regrets");
	page_note(out,
		  "Layers that were evicted, and of these those that were made again soon, by the "
		  "policy and scorer that evicted them.");
	if (since_ns > 0)
		strbuf_appendf(out, "<p>The history begins %s.</p>\n",
			       units_format_age(since_ns, s->now_ns, age));
	page_table(out, columns);
	for (size_t i = 0; i < count; i++) {
		const struct history_regret *r = &regrets[i];
		const struct history_regretted *spans[] = { &r->day, &r->week };

		page_row(out);
		page_cell(out, r->by);
		page_cell_count(out, r->evicted);
		page_cell_size(out, r->evicted_bytes);
		for (size_t j = 0; j < ARRAY_SIZE(spans); j++) {
			page_cell_count(out, spans[j]->layers);
			page_cell_size(out, spans[j]->bytes);
			write_seconds(out, spans[j]->cost_ms);
		}
	}
	page_table_end(out);
	if (count == 0)
		page_note(out, "Nothing was evicted.");
	page_end(out);
}
