/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page_overview.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/markup.h"
#include "base/units.h"

#define DAY_NS (86400 * NS_PER_S)

void page_history_add(struct page_history *h, const struct history_view *event, int64_t now_ns)
{
	int64_t day = now_ns / DAY_NS - event->at_ns / DAY_NS;
	int64_t bytes = event->bytes > 0 ? event->bytes : 0;

	if (event->event == HISTORY_NEEDED)
		return;
	h->newest[h->count++ % PAGE_HISTORY_MAX] = *event;
	if (day < 0 || day >= PAGE_DAYS)
		return;
	struct page_day *d = &h->days[PAGE_DAYS - 1 - day];

	if (event->event == HISTORY_MADE) {
		d->made++;
		d->made_bytes += bytes;
	} else if (event->event == HISTORY_EVICTED) {
		d->evicted++;
		d->evicted_bytes += bytes;
	}
}

/* ---- numbers ---- */

static void card(struct strbuf *out, const char *name, const char *value)
{
	strbuf_append(out, "<div class=\"card\">");
	markup_append(out, name);
	strbuf_append(out, "<b>");
	markup_append(out, value);
	strbuf_append(out, "</b></div>\n");
}

static void size_card(struct strbuf *out, const char *name, int64_t bytes)
{
	char size[UNITS_TEXT_MAX];

	card(out, name, bytes < 0 ? "–" : units_format_size(bytes, size));
}

static void count_card(struct strbuf *out, const char *name, uint64_t count)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, count);
	card(out, name, text);
}

static uint64_t all_types(const uint64_t counts[METER_TYPES])
{
	uint64_t sum = 0;

	for (size_t i = 0; i < METER_TYPES; i++)
		sum += counts[i];
	return sum;
}

static void write_cards(struct strbuf *out, const struct page_status *s,
			const struct page_overview *o)
{
	bool counted = strcmp(s->backend, "none") != 0;
	const struct numbers *n = o->numbers;
	int64_t total = 0;

	for (size_t i = 0; i < NUMBERS_KIND_COUNT; i++)
		total += n->bytes[i];
	strbuf_append(out, "<div class=\"cards\">\n");
	size_card(out, "Store", total);
	if (o->policy_count > 0)
		size_card(out, "Free on its file system", o->policies[0].disk.free_bytes);
	size_card(out, "Reclaimable", n->reclaimable_bytes);
	size_card(out, "Never read", counted ? n->never_read_bytes : -1);
	size_card(out, "Not read for 7 days", counted ? n->cold_bytes[2] : -1);
	size_card(out, "Not read for 30 days", counted ? n->cold_bytes[3] : -1);
	count_card(out, "Records", all_types(n->records));
	count_card(out, "In use", all_types(n->in_use));
	count_card(out, "Pinned", n->pinned);
	count_card(out, "Lazy", n->lazy);
	count_card(out, "Layers", n->layers);
	count_card(out, "Mounts", n->mounts_writable + n->mounts_read_only);
	count_card(out, "Leases", n->leases);
	strbuf_append(out, "</div>\n");
	if (n->unmeasured > 0)
		strbuf_appendf(out,
			       "<p>Layers whose sizes are not known, or may have changed since "
			       "they were measured: %" PRIu64 " (varve du measures them).</p>\n",
			       n->unmeasured);
	if (n->quarantined > 0)
		strbuf_appendf(out,
			       "<p class=\"bad\">%" PRIu64 " records are quarantined: see varve "
			       "fsck.</p>\n",
			       n->quarantined);
}

static void write_kinds(struct strbuf *out, const struct numbers *n)
{
	static const char *const columns[] = { "Kind", "#Size", "#Inodes", NULL };
	static const char *const kinds[] = { "private", "shared", "upper", "blob", "metadata" };

	page_heading(out, "What the store has");
	page_table(out, columns);
	for (size_t i = 0; i < NUMBERS_KIND_COUNT; i++) {
		page_row(out);
		page_cell(out, kinds[i]);
		page_cell_size(out, n->bytes[i]);
		page_cell_count(out, (uint64_t)n->inodes[i]);
	}
	page_table_end(out);
}

static void write_limits(struct strbuf *out, const struct page_overview *o)
{
	static const char *const columns[] = { "Name", "#Reserved", "#Max used", "#Min free",
					       NULL };

	page_heading(out, "Limits");
	page_table(out, columns);
	for (size_t i = 0; i < o->policy_count; i++) {
		const struct eviction_policy_view *v = &o->policies[i];
		const struct prune_limits *l = &v->policy->limits;
		const struct prune_space *spaces[] = { &l->reserved, &l->max_used, &l->min_free };

		page_row(out);
		page_cell(out, v->policy->name);
		for (size_t j = 0; j < ARRAY_SIZE(spaces); j++) {
			int64_t bytes = prune_space_bytes(spaces[j], &v->disk);

			page_cell_size(out, bytes > 0 ? bytes : -1);
		}
	}
	page_table_end(out);
}

/* ---- history ---- */

static void bar(struct strbuf *out, const char *class, size_t day, int64_t bytes, int64_t most,
		bool up)
{
	double height = most > 0 ? 80.0 * (double)bytes / (double)most : 0;

	if (bytes > 0 && height < 1)
		height = 1;
	if (height > 0)
		strbuf_appendf(out,
			       "<rect class=\"%s\" x=\"%zu\" y=\"%.1f\" width=\"16\" "
			       "height=\"%.1f\"/>",
			       class, 10 + day * 20, up ? 90 - height : 91, height);
}

static void write_day(struct strbuf *out, const struct page_day *d, size_t day, int64_t most,
		      int64_t now_ns)
{
	char time[UNITS_TEXT_MAX], made[UNITS_TEXT_MAX], gone[UNITS_TEXT_MAX];
	int64_t at_ns = now_ns - (int64_t)(PAGE_DAYS - 1 - day) * DAY_NS;

	strbuf_appendf(out,
		       "<g><title>%.10s: made %" PRIu64 " layers, %s; evicted %" PRIu64
		       ", %s</title>",
		       units_format_time(at_ns, time), d->made,
		       units_format_size(d->made_bytes, made), d->evicted,
		       units_format_size(d->evicted_bytes, gone));
	bar(out, "made", day, d->made_bytes, most, true);
	bar(out, "gone", day, d->evicted_bytes, most, false);
	strbuf_append(out, "</g>\n");
}

static void write_chart(struct strbuf *out, const struct page_history *h, int64_t now_ns)
{
	int64_t most = 0;
	char size[UNITS_TEXT_MAX];

	for (size_t i = 0; i < PAGE_DAYS; i++) {
		if (h->days[i].made_bytes > most)
			most = h->days[i].made_bytes;
		if (h->days[i].evicted_bytes > most)
			most = h->days[i].evicted_bytes;
	}
	page_heading(out, "The last 30 days");
	strbuf_append(out, "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 720 190\"><title>Bytes "
			   "of layers that were made (above the line) and evicted (below it), by "
			   "day</title>\n<line x1=\"5\" x2=\"612\" y1=\"90.5\" y2=\"90.5\"/>");
	for (size_t i = 0; i < PAGE_DAYS; i++)
		write_day(out, &h->days[i], i, most, now_ns);
	strbuf_appendf(out,
		       "<text x=\"618\" y=\"60\">made</text><text x=\"618\" y=\"130\">evicted"
		       "</text><text x=\"5\" y=\"187\">30 days ago</text><text x=\"575\" "
		       "y=\"187\">today</text><text x=\"618\" y=\"16\">most: %s</text></svg>\n",
		       units_format_size(most, size));
}

static const char *event_name(enum history_event event)
{
	return event == HISTORY_MADE ? "made" : event == HISTORY_EVICTED ? "evicted" : "removed";
}

static void write_newest(struct strbuf *out, const struct page_status *s,
			 const struct page_history *h)
{
	static const char *const columns[] = { "Time", "Event", "Record", "#Size", "By", NULL };
	size_t count = h->count < PAGE_HISTORY_MAX ? h->count : PAGE_HISTORY_MAX;

	page_heading(out, "What happened last to layers");
	page_table(out, columns);
	for (size_t i = 0; i < count; i++) {
		const struct history_view *v = &h->newest[(h->count - 1 - i) % PAGE_HISTORY_MAX];

		page_row(out);
		page_cell_age(out, s, v->at_ns, true);
		page_cell(out, event_name(v->event));
		page_cell_record(out, v->record, true);
		page_cell_size(out, v->bytes > 0 ? v->bytes : -1);
		page_cell(out, v->by);
	}
	page_table_end(out);
}

void page_overview_write(struct strbuf *out, const struct page_status *s,
			 const struct page_overview *o)
{
	char age[UNITS_TEXT_MAX];

	page_begin(out, s, "Overview", "/");
	strbuf_append(out, "<p>varved ");
	markup_append(out, o->version);
	strbuf_append(out, ", started ");
	strbuf_append(out, units_format_age(o->started_ns, s->now_ns, age));
	strbuf_append(out, "; the store is <span class=\"path\">");
	markup_append(out, o->root);
	strbuf_append(out, "</span></p>\n");
	write_cards(out, s, o);
	write_chart(out, o->history, s->now_ns);
	write_limits(out, o);
	write_kinds(out, o->numbers);
	write_newest(out, s, o->history);
	page_end(out);
}
