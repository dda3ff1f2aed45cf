/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/top/top_text.h"

#define SHORT_ID 12
#define HEAT "HEAT 10m"
#define HEAT_COLUMNS 10
#define COLUMNS_MAX 16

static const struct top_column record_columns[] = {
	{ "ID", SHORT_ID, false, 0 }, { "ST", 3, false, 8 },	       { "SIZE", 6, true, 1 },
	{ "READ/s", 6, true, 0 },     { "OPEN/s", 6, true, 3 },	       { "READ", 6, true, 9 },
	{ "FILES", 9, false, 6 },     { HEAT, 10, false, 4 },	       { "LAST READ", 9, false, 2 },
	{ "BY", 18, false, 10 },      { "DESCRIPTION", 11, false, 5 },
};
static const struct top_column layer_columns[] = {
	{ "LAYER", 6, false, 0 },	 { "BELOW", 6, false, 9 },     { "RECORDS", 7, true, 7 },
	{ "ST", 3, false, 12 },		 { "SIZE", 6, true, 1 },       { "READ/s", 6, true, 0 },
	{ "OPEN/s", 6, true, 3 },	 { "READ", 6, true, 10 },      { "FILES", 9, false, 6 },
	{ HEAT, 10, false, 4 },		 { "LAST READ", 9, false, 2 }, { "BY", 18, false, 11 },
	{ "DESCRIPTION", 11, false, 5 },
};
static const struct top_column file_columns[] = {
	{ "OPENS", 7, true, 2 },      { "READ", 6, true, 1 },  { "SIZE", 6, true, 3 },
	{ "LAST READ", 9, false, 4 }, { "PATH", 8, false, 0 },
};
static const struct top_column reader_columns[] = {
	{ "READ", 6, true, 1 },	  { "OPENS", 7, true, 2 },	{ "READS", 7, true, 4 },
	{ "LAYERS", 6, true, 5 }, { "LAST READ", 9, false, 3 }, { "WHO", 12, false, 0 },
};
static const struct top_column owner_columns[] = {
	{ "NAME", 12, false, 0 },   { "KIND", 9, false, 4 },	       { "RECORDS", 7, true, 3 },
	{ "SIZE", 6, true, 1 },	    { "EVICTABLE SIZE", 14, true, 2 }, { "ASKED", 5, false, 5 },
	{ "VERSION", 9, false, 6 }, { "STATE", 9, false, 0 },
};
static const struct top_column policy_columns[] = {
	{ "NAME", 14, false, 0 },   { "USED", 6, true, 1 },	{ "KEEP", 8, true, 0 },
	{ "MAX USED", 8, true, 2 }, { "MIN FREE", 8, true, 3 }, { "SCORER", 9, false, 4 },
	{ "FILTERS", 8, false, 5 },
};

static const struct {
	const struct top_column *columns;
	size_t count;
} tables[] = {
	[TOP_RECORDS] = { record_columns, ARRAY_SIZE(record_columns) },
	[TOP_LAYERS] = { layer_columns, ARRAY_SIZE(layer_columns) },
	[TOP_FILES] = { file_columns, ARRAY_SIZE(file_columns) },
	[TOP_WHO] = { reader_columns, ARRAY_SIZE(reader_columns) },
	[TOP_OWNERS] = { owner_columns, ARRAY_SIZE(owner_columns) },
	[TOP_EVICTION] = { policy_columns, ARRAY_SIZE(policy_columns) },
};

/* Batch mode has no pictures, which a screen reader would read out. */
static void put(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		const char *const *cells)
{
	struct top_column columns[COLUMNS_MAX];
	const char *texts[COLUMNS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < tables[s->view].count; i++) {
		if (frame->batch && strcmp(tables[s->view].columns[i].title, HEAT) == 0)
			continue;
		texts[count] = cells ? cells[i] : NULL;
		columns[count++] = tables[s->view].columns[i];
	}
	top_text_row(out, columns, count, cells ? texts : NULL, frame->columns, frame->utf8);
}

void top_lists_headings(struct strbuf *out, const struct top_frame *frame,
			const struct top_state *s)
{
	put(out, frame, s, NULL);
}

/* ---- records and layers ---- */

/* The texts of a row, which live as long as it is made. */
struct live_texts {
	char id[SHORT_ID + 1], records[TOP_TEXT_MAX], size[TOP_TEXT_MAX], rate[TOP_TEXT_MAX],
		opens[TOP_TEXT_MAX], read[TOP_TEXT_MAX], files[2 * TOP_TEXT_MAX],
		last[TOP_TEXT_MAX];
	char state[4]; /* in use, pinned, lazy, writable */
	struct strbuf heat;
};

static bool is_counted(const struct top_state *s, const Varve__V1__LiveRow *r)
{
	if (r->opens > 0 || r->last_read_ns)
		return true; /* counted earlier, by a backend that is gone */
	return !r->uncounted && s->live->backend[0] && strcmp(s->live->backend, "none") != 0;
}

static void fill_texts(struct live_texts *t, const struct top_frame *frame,
		       const struct top_state *s, const Varve__V1__LiveRow *r)
{
	bool utf8 = frame->utf8, counted = is_counted(s, r);
	char touched[TOP_TEXT_MAX], all[TOP_TEXT_MAX];

	(void)snprintf(t->id, sizeof(t->id), "%s", r->id);
	(void)snprintf(t->records, sizeof(t->records), "%" PRIu64, r->records);
	(void)snprintf(t->files, sizeof(t->files), "%s/%s",
		       top_text_count((double)r->files_touched, touched),
		       r->inodes >= 0 ? top_text_count((double)r->inodes, all)
				      : top_text_size(-1, utf8, all));
	(void)snprintf(t->last, sizeof(t->last), "%s",
		       counted ? top_text_age(r->last_read_ns, frame->now_ns, touched)
			       : top_text_size(-1, utf8, touched));
	(void)snprintf(t->state, sizeof(t->state), "%s%s%s", r->in_use ? "u" : "",
		       r->pinned ? "p" : "",
		       r->lazy	     ? "l"
		       : r->mutable_ ? "w"
				     : "");
	if (!frame->batch)
		top_text_spark(&t->heat, r->recent_kib, r->n_recent_kib, HEAT_COLUMNS, utf8);
}

static bool live_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		     size_t row, enum top_style *ret_style)
{
	struct live_texts t = { .heat = { 0 } };
	const Varve__V1__LiveRow *r;
	bool counted, utf8 = frame->utf8;

	if (!s->live || row < s->first || row - s->first >= s->live->n_rows)
		return false;
	r = s->live->rows[row - s->first];
	counted = is_counted(s, r);
	fill_texts(&t, frame, s, r);

	const char *none = top_text_size(-1, utf8, t.read);
	const char *size = top_text_size(r->size, utf8, t.size);
	const char *rate = counted ? top_text_size((int64_t)r->read_bytes_per_s, utf8, t.rate)
				   : none;
	const char *opens = counted ? top_text_count(r->opens_per_s, t.opens) : none;
	const char *read = counted ? top_text_size((int64_t)r->read_bytes, utf8, t.read) : none;
	const char *files = counted ? t.files : none, *heat = t.heat.text ? t.heat.text : "";
	const char *by = r->reader[0] ? r->reader : none;

	if (s->view == TOP_RECORDS)
		put(out, frame, s,
		    (const char *const[]){ t.id, t.state, size, rate, opens, read, files, heat,
					   t.last, by, r->description });
	else
		put(out, frame, s,
		    (const char *const[]){ r->layer, r->below[0] ? r->below : none, t.records,
					   t.state, size, rate, opens, read, files, heat, t.last,
					   by, r->description });
	strbuf_free(&t.heat);
	*ret_style = r->read_bytes_per_s > 0 || r->opens_per_s > 0 ? TOP_STYLE_HOT
		     : counted && !r->last_read_ns		   ? TOP_STYLE_COLD
								   : TOP_STYLE_PLAIN;
	return true;
}

/* ---- the other views ---- */

static const Varve__V1__File *find_file(const struct top_state *s, size_t row)
{
	for (size_t i = 0; i < s->files.count; i++) {
		const Varve__V1__FileBatch *batch = (Varve__V1__FileBatch *)s->files.items[i];

		if (row < batch->n_files)
			return batch->files[row];
		row -= batch->n_files;
	}
	return NULL;
}

static bool file_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		     size_t row)
{
	const Varve__V1__File *f = find_file(s, row);
	char opens[TOP_TEXT_MAX], read[TOP_TEXT_MAX], size[TOP_TEXT_MAX], last[TOP_TEXT_MAX];

	if (!f)
		return false;
	put(out, frame, s,
	    (const char *const[]){
		    top_text_count((double)f->opens, opens),
		    top_text_size((int64_t)f->read_bytes, frame->utf8, read),
		    top_text_size(f->deleted ? -1 : f->size, frame->utf8, size),
		    top_text_age(f->last_access_ns, frame->now_ns, last),
		    f->path,
	    });
	return true;
}

static bool reader_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		       size_t row)
{
	char read[TOP_TEXT_MAX], opens[TOP_TEXT_MAX], reads[TOP_TEXT_MAX], layers[TOP_TEXT_MAX],
		last[TOP_TEXT_MAX];
	cleanup(strbuf_free) struct strbuf who = { 0 };
	const Varve__V1__Reader *r;

	if (!s->readers || row >= s->readers->n_readers)
		return false;
	r = s->readers->readers[row];
	strbuf_appendf(&who, "%s%s", r->reader[0] ? r->reader : "other",
		       r->upkeep ? " (upkeep)" : "");
	put(out, frame, s,
	    (const char *const[]){
		    top_text_size((int64_t)r->read_bytes, frame->utf8, read),
		    top_text_count((double)r->opens, opens),
		    top_text_count((double)r->reads, reads),
		    r->layers ? top_text_count((double)r->layers, layers)
			      : top_text_size(-1, frame->utf8, layers),
		    top_text_age(r->last_read_ns, frame->now_ns, last),
		    who.text ? who.text : "",
	    });
	return true;
}

static bool owner_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		      size_t row, enum top_style *ret_style)
{
	char records[TOP_TEXT_MAX], size[TOP_TEXT_MAX], evictable[TOP_TEXT_MAX],
		asked[TOP_TEXT_MAX];
	const Varve__V1__Owner *o;

	if (!s->owners || row >= s->owners->n_owners)
		return false;
	o = s->owners->owners[row];
	put(out, frame, s,
	    (const char *const[]){
		    o->name,
		    o->kind,
		    top_text_count((double)o->records, records),
		    top_text_size(o->size, frame->utf8, size),
		    top_text_size(o->evictable_size, frame->utf8, evictable),
		    top_text_age(o->asked_ns, frame->now_ns, asked),
		    o->version[0] ? o->version : top_text_size(-1, frame->utf8, asked),
		    o->problem[0]  ? o->problem
		    : o->asking	   ? "being asked"
		    : o->reachable ? "ok"
				   : "unreachable",
	    });
	if (!o->reachable)
		*ret_style = TOP_STYLE_WARNING;
	return true;
}

static bool policy_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		       size_t row, enum top_style *ret_style)
{
	char used[TOP_TEXT_MAX], keep[TOP_TEXT_MAX], most[TOP_TEXT_MAX], least[TOP_TEXT_MAX];
	cleanup(strbuf_free) struct strbuf filters = { 0 };
	const Varve__V1__Policy *p;
	const char *none;

	if (!s->policies || row >= s->policies->n_policies)
		return false;
	p = s->policies->policies[row];
	none = top_text_size(-1, frame->utf8, most);
	for (size_t i = 0; i < p->n_filters; i++)
		strbuf_appendf(&filters, "%s%s", i > 0 ? " or " : "", p->filters[i]);
	if (p->owner[0])
		strbuf_appendf(&filters, "%sof %s", p->n_filters ? ", " : "", p->owner);
	put(out, frame, s,
	    (const char *const[]){
		    p->name,
		    p->owner[0] ? none : top_text_size(p->used, frame->utf8, used),
		    p->keep == INT64_MAX || p->owner[0] ? "all"
							: top_text_size(p->keep, frame->utf8, keep),
		    p->max_used > 0 ? top_text_size(p->max_used, frame->utf8, most) : none,
		    p->min_free > 0 ? top_text_size(p->min_free, frame->utf8, least) : none,
		    p->scorer,
		    filters.text ? filters.text : "all records",
	    });
	if (!p->owner[0] && p->used > p->keep)
		*ret_style = TOP_STYLE_WARNING; /* it would evict now */
	return true;
}

bool top_lists_row(struct strbuf *out, const struct top_frame *frame, const struct top_state *s,
		   size_t row, enum top_style *ret_style)
{
	*ret_style = TOP_STYLE_PLAIN;
	switch (s->view) {
	case TOP_FILES:
		return file_row(out, frame, s, row);
	case TOP_WHO:
		return reader_row(out, frame, s, row);
	case TOP_OWNERS:
		return owner_row(out, frame, s, row, ret_style);
	case TOP_EVICTION:
		return policy_row(out, frame, s, row, ret_style);
	default:
		return live_row(out, frame, s, row, ret_style);
	}
}
