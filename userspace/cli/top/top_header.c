/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_header.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/top/top_text.h"

#define BAR_COLUMNS 10

static void add(struct top_header *h, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct top_header *h, const char *format, ...)
{
	va_list args;

	if (h->count == TOP_HEADER_FACTS)
		return;
	va_start(args, format);
	(void)vsnprintf(h->facts[h->count++], sizeof(h->facts[0]), format, args);
	va_end(args);
}

/* The smallest limit on what the store uses; 0: there is none. */
static int64_t limit_of(const struct top_state *s)
{
	int64_t limit = 0;

	for (size_t i = 0; s->policies && i < s->policies->n_policies; i++) {
		const Varve__V1__Policy *p = s->policies->policies[i];

		if (!p->owner[0] && p->max_used > 0 && (limit == 0 || p->max_used < limit))
			limit = p->max_used;
	}
	return limit;
}

static void add_store(struct top_header *h, const struct top_frame *frame,
		      const struct top_state *s)
{
	cleanup(strbuf_free) struct strbuf bar = { 0 };
	char used[TOP_TEXT_MAX], limit[TOP_TEXT_MAX], reclaimable[TOP_TEXT_MAX];
	const Varve__V1__LiveSums *sums = s->sums;
	int64_t limit_bytes = limit_of(s);

	if (!sums)
		return;
	if (limit_bytes > 0) {
		if (!frame->batch)
			top_text_bar(&bar, (double)sums->used / (double)limit_bytes, BAR_COLUMNS,
				     frame->utf8);
		add(h, "store %s of %s%s%s", top_text_size(sums->used, frame->utf8, used),
		    top_text_size(limit_bytes, frame->utf8, limit), bar.length ? " " : "",
		    bar.length ? bar.text : "");
	} else {
		add(h, "store %s, no limit", top_text_size(sums->used, frame->utf8, used));
	}
	add(h, "free %s of %s", top_text_size(sums->disk_free, frame->utf8, used),
	    top_text_size(sums->disk_total, frame->utf8, limit));
	add(h, "reclaimable %s", top_text_size(sums->reclaimable, frame->utf8, reclaimable));
}

static void add_agent(struct top_header *h, const struct top_frame *frame,
		      const struct top_state *s)
{
	const Varve__V1__LiveReply *live = s->live;
	char text[TOP_TEXT_MAX];

	add(h, "up %s", top_text_span(live->time_ns - live->started_ns, text));
	add(h, "backend %s", live->backend[0] ? live->backend : "none");
	if (s->program_share >= 0)
		add(h, "bpf %.2f%% cpu", 100 * s->program_share);
	else
		add(h, "bpf %s", top_text_size(-1, frame->utf8, text));
	add(h, "lost %" PRIu64, live->lost);
}

static void add_reads(struct top_header *h, const struct top_frame *frame,
		      const struct top_state *s)
{
	cleanup(strbuf_free) struct strbuf spark = { 0 };
	const Varve__V1__LiveReply *live = s->live;
	char rate[TOP_TEXT_MAX], opens[TOP_TEXT_MAX];

	if (!frame->batch)
		top_text_spark(&spark, live->recent_kib, live->n_recent_kib, BAR_COLUMNS,
			       frame->utf8);
	add(h, "read %s/s, %s opens/s%s%s",
	    top_text_size((int64_t)live->read_bytes_per_s, frame->utf8, rate),
	    top_text_count(live->opens_per_s, opens), spark.length ? " " : "",
	    spark.length ? spark.text : "");
}

static void add_sums(struct top_header *h, const struct top_frame *frame, const struct top_state *s)
{
	const Varve__V1__LiveSums *sums = s->sums;
	bool counted = s->live->backend[0] && strcmp(s->live->backend, "none") != 0;
	char text[TOP_TEXT_MAX];
	uint64_t regrets = 0;

	if (!sums)
		return;
	add(h, "records %" PRIu64 " (%" PRIu64 " in use, %" PRIu64 " lazy, %" PRIu64 " pinned)",
	    sums->records, sums->in_use, sums->lazy, sums->pinned);
	/* Where nothing is counted, "never read" would be a claim. */
	add(h, "not read for 7d %s",
	    top_text_size(counted ? sums->cold_week : -1, frame->utf8, text));
	add(h, "never read %s", top_text_size(counted ? sums->never_read : -1, frame->utf8, text));
	for (size_t i = 0; s->regrets && i < s->regrets->n_regrets; i++)
		regrets += s->regrets->regrets[i]->day ? s->regrets->regrets[i]->day->layers : 0;
	if (s->regrets)
		add(h, "regrets in 24h %" PRIu64, regrets);
	if (sums->unmeasured > 0)
		add(h, "%" PRIu64 " layers not measured", sums->unmeasured);
	add(h, "layers %" PRIu64 ", mounts %" PRIu64 ", leases %" PRIu64, sums->layers,
	    sums->mounts, sums->leases);
}

void top_header_fill(struct top_header *h, const struct top_frame *frame, const struct top_state *s)
{
	char clock[TOP_TEXT_MAX];

	*h = (struct top_header){ .count = 0 };
	add(h, "varve top %s%s", top_text_clock(frame->now_ns, clock), s->paused ? " paused" : "");
	if (!s->live)
		return;
	add_agent(h, frame, s);
	add_store(h, frame, s);
	add_reads(h, frame, s);
	add_sums(h, frame, s);
}
