/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page_records.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/markup.h"
#include "base/units.h"
#include "heat/heat_svg.h"

static const struct {
	const char *name, *heading;
} orders[RECORD_ORDER_COUNT] = {
	[RECORD_ORDER_CREATED] = { "created", "time of creation" },
	[RECORD_ORDER_SIZE] = { "size", "size" },
	[RECORD_ORDER_LAST_USED] = { "used", "last use" },
	[RECORD_ORDER_LAST_READ] = { "read", "last read" },
	[RECORD_ORDER_USES] = { "uses", "number of uses" },
};

enum record_order page_records_order(const char *name)
{
	for (enum record_order o = RECORD_ORDER_CREATED; name && o < RECORD_ORDER_COUNT; o++)
		if (strcmp(orders[o].name, name) == 0)
			return o;
	return RECORD_ORDER_CREATED;
}

/* ---- the list ---- */

static void write_form(struct strbuf *out, const struct record_page_query *q)
{
	strbuf_append(out,
		      "<form action=\"/records\" method=\"get\"><label>Filter, as of varve ls "
		      "<input name=\"filter\" placeholder=\"description~=python,size&gt;10MB\" "
		      "value=\"");
	markup_append(out, q->filter);
	strbuf_append(out, "\"></label><label>Sorted by<select name=\"sort\">");
	for (size_t i = 0; i < RECORD_ORDER_COUNT; i++)
		strbuf_appendf(out, "<option value=\"%s\"%s>%s</option>", orders[i].name,
			       i == q->order ? " selected" : "", orders[i].heading);
	strbuf_appendf(out,
		       "</select></label><label>Order<select name=\"order\"><option "
		       "value=\"down\">falling</option><option value=\"up\"%s>rising</option>"
		       "</select></label><button>Show</button></form>\n",
		       q->ascending ? " selected" : "");
}

static void write_link(struct strbuf *out, const struct record_page_query *q, size_t page,
		       const char *text)
{
	strbuf_append(out, "<a href=\"/records?filter=");
	markup_append_url(out, q->filter);
	strbuf_appendf(out, "&amp;sort=%s&amp;order=%s&amp;page=%zu\">%s</a>",
		       orders[q->order].name, q->ascending ? "up" : "down", page, text);
}

static void write_pages(struct strbuf *out, const struct page_records *r)
{
	const struct record_page_query *q = &r->query;
	size_t page = q->offset / PAGE_RECORDS + 1;
	size_t last = r->page->total ? (r->page->total - 1) / PAGE_RECORDS + 1 : 1;

	strbuf_append(out, "<nav class=\"pages\" aria-label=\"Pages of the list\">");
	if (page > 1) {
		write_link(out, q, 1, "first");
		write_link(out, q, page - 1, "previous");
	}
	strbuf_appendf(out, "<span>page %zu of %zu</span>", page, last);
	if (page < last) {
		write_link(out, q, page + 1, "next");
		write_link(out, q, last, "last");
	}
	strbuf_append(out, "</nav>\n");
}

static int64_t last_used_ns(const struct record_view *v)
{
	int64_t read_ns = v->layer.access.last_ns;

	return v->record.last_hit_ns > read_ns ? v->record.last_hit_ns : read_ns;
}

static const char *state_of(const struct record_view *v)
{
	return v->record.pinned ? "pinned" : v->in_use ? "in use" : v->layer.lazy ? "lazy" : "";
}

/* Whether reads of its layer are counted, or were by an earlier backend. */
static bool reads_are_known(const struct page_status *s, const struct record_view *v)
{
	const struct layer_access *a = &v->access;

	if (a->counts.counters[USAGE_OPENS] > 0 || a->when.last_ns)
		return true;
	return strcmp(s->backend, "none") != 0 && !v->uncounted;
}

static void write_record(struct strbuf *out, const struct page_status *s,
			 const struct record_view *v)
{
	const struct record *r = &v->record;

	page_row(out);
	page_cell_record(out, r->id, true);
	page_cell(out, r->is_mutable ? "mutable" : "immutable");
	page_cell(out, r->type);
	page_cell_size(out, v->size_bytes);
	page_cell_count(out, r->hits + v->layer.access.uses);
	page_cell_age(out, s, last_used_ns(v), true);
	page_cell_age(out, s, v->layer.access.last_ns, reads_are_known(s, v));
	page_cell(out, state_of(v));
	page_cell(out, r->description);
}

static void write_records(struct strbuf *out, const struct page_status *s,
			  const struct record_view *views, size_t count)
{
	static const char *const columns[] = { "ID",	      "Kind",	   "Type",	"#Size",
					       "#Uses",	      "Last used", "Last read", "State",
					       "Description", NULL };

	page_table(out, columns);
	for (size_t i = 0; i < count; i++)
		write_record(out, s, &views[i]);
	page_table_end(out);
}

void page_records_write(struct strbuf *out, const struct page_status *s,
			const struct page_records *r)
{
	page_begin(out, s, "Records", "/records");
	write_form(out, &r->query);
	if (r->problem) {
		strbuf_append(out, "<p class=\"error\">");
		markup_append(out, r->problem);
		strbuf_append(out, "</p>\n");
	} else {
		strbuf_appendf(out, "<p>%zu record%s</p>\n", r->page->total,
			       r->page->total == 1 ? "" : "s");
		write_records(out, s, r->page->views, r->page->count);
		write_pages(out, r);
	}
	page_end(out);
}

/* ---- one record ---- */

static void begin_field(struct strbuf *out, const char *name)
{
	strbuf_append(out, "\n<tr><th scope=\"row\">");
	markup_append(out, name);
	strbuf_append(out, "</th>");
}

/* What a record does not have is left out. */
static void field(struct strbuf *out, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	begin_field(out, name);
	page_cell(out, text);
	strbuf_append(out, "</tr>");
}

static void record_field(struct strbuf *out, const char *name, const char *id)
{
	if (!*id)
		return;
	begin_field(out, name);
	page_cell_record(out, id, false);
	strbuf_append(out, "</tr>");
}

static void count_field(struct strbuf *out, const char *name, uint64_t count)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, count);
	field(out, name, text);
}

static void size_field(struct strbuf *out, const char *name, int64_t bytes)
{
	char size[UNITS_TEXT_MAX];

	field(out, name, bytes < 0 ? "" : units_format_size(bytes, size));
}

static void age_field(struct strbuf *out, const struct page_status *s, const char *name,
		      int64_t wall_ns, bool known)
{
	begin_field(out, name);
	page_cell_age(out, s, wall_ns, known);
	strbuf_append(out, "</tr>");
}

static void write_facts(struct strbuf *out, const struct page_status *s,
			const struct record_view *v)
{
	const struct record *r = &v->record;
	const struct layer_access *a = &v->access;
	bool known = reads_are_known(s, v);

	field(out, "Description", r->description);
	field(out, "Type", r->type);
	field(out, "Kind", r->is_mutable ? "mutable" : "immutable");
	field(out, "State", state_of(v));
	record_field(out, "Parent", v->parent);
	record_field(out, "Twin", v->twin);
	field(out, "Snapshot", v->snapshot_key);
	field(out, "Mounted at", v->mountpoint);
	size_field(out, "Size", v->size_bytes);
	count_field(out, "Uses", r->hits + a->when.uses);
	if (known) {
		count_field(out, "Opens", a->counts.counters[USAGE_OPENS]);
		size_field(out, "Read", (int64_t)a->counts.counters[USAGE_READ_BYTES]);
	} else {
		field(out, "Opens", "–");
		field(out, "Read", "–");
	}
	age_field(out, s, "Created", r->created_ns, true);
	age_field(out, s, "Last used", last_used_ns(v), true);
	age_field(out, s, "Last read", a->when.last_ns, known);
	field(out, "Digest of its blob", r->content ? r->content->blob.text : "");
	for (size_t i = 0; i < r->image_ref_count; i++)
		field(out, "Image", r->image_refs[i]);
	for (size_t i = 0; i < r->label_count; i++) {
		cleanup(strbuf_free) struct strbuf label = { 0 };

		strbuf_appendf(&label, "%s = %s", r->labels[i].key, r->labels[i].value);
		field(out, "Label", label.text);
	}
	for (size_t i = 0; i < v->hold_count; i++)
		field(out, "Held by lease", v->holds[i].name);
	for (size_t i = 0; i < v->child_count && i < PAGE_RECORDS; i++)
		record_field(out, "Child", v->children[i]);
	if (v->child_count > PAGE_RECORDS)
		count_field(out, "Children in all", v->child_count);
}

void page_record_owner(struct strbuf *out, const struct owner_name *name)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };

	strbuf_appendf(&text, "%s %s %s", name->owner, name->kind, name->id);
	if (name->description && *name->description)
		strbuf_appendf(&text, " (%s)", name->description);
	if (name->kept)
		strbuf_appendf(&text, ": kept, %s", name->kept);
	if (strbuf_failed(&text))
		out->failed = true;
	else
		field(out, "Owner", text.text);
}

static void write_explanation(struct strbuf *out, const struct eviction_explanation *x)
{
	char place[64];

	if (!x)
		return;
	page_heading(out, "What eviction would do about it");
	page_note(out, x->why);
	if (*x->policy)
		page_note(out, x->policy);
	if (x->kept)
		return;
	(void)snprintf(place, sizeof(place), "It is number %zu of %zu in the order of eviction.",
		       x->place, x->places);
	page_note(out, place);
}

/* ---- files ---- */

static int by_heat(const void *a, const void *b)
{
	const struct record_file_view *x = *(const struct record_file_view *const *)a;
	const struct record_file_view *y = *(const struct record_file_view *const *)b;

	if (x->opens != y->opens)
		return x->opens > y->opens ? -1 : 1;
	if (x->read_bytes != y->read_bytes)
		return x->read_bytes > y->read_bytes ? -1 : 1;
	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return strcmp(x->path ? x->path : "", y->path ? y->path : "");
}

static void write_file(struct strbuf *out, const struct page_status *s,
		       const struct record_file_view *f, bool known)
{
	bool read = f->opens > 0 || f->read_bytes > 0 || f->last_access_ns > 0;

	page_row(out);
	strbuf_append(out, "<td class=\"path\">");
	markup_append(out, f->path ? f->path : "(deleted)");
	strbuf_append(out, "</td>");
	page_cell_size(out, f->path ? f->size_bytes : -1);
	if (known || read)
		page_cell_count(out, f->opens);
	else
		strbuf_append(out, "<td class=\"n\">–</td>");
	page_cell_size(out, known || read ? (int64_t)f->read_bytes : -1);
	page_cell_age(out, s, f->last_access_ns, known || read);
}

static void write_files(struct strbuf *out, const struct page_status *s,
			const struct page_record *r)
{
	static const char *const columns[] = {
		"Path", "#Size", "#Opens", "#Read", "Last read", NULL
	};
	const struct record_file_list *list = r->files;
	cleanup(free_ptr) const struct record_file_view **sorted = NULL;
	bool known = strcmp(s->backend, "none") != 0 && list->complete_since_ns == 0;
	size_t shown = list->count < PAGE_FILES ? list->count : PAGE_FILES;

	sorted = calloc(list->count + 1, sizeof(*sorted));
	if (!sorted) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->files[i];
	qsort(sorted, list->count, sizeof(*sorted), by_heat);
	strbuf_appendf(out, "<p>%zu files, those that are opened most first%s</p>\n", list->count,
		       shown < list->count ? "; 100 are shown (varve files shows all)" : "");
	if (list->complete_since_ns)
		page_note(out, "Some accesses of files in this layer could not be counted: files "
			       "without counts may have been read.");
	page_table(out, columns);
	for (size_t i = 0; i < shown; i++)
		write_file(out, s, sorted[i], known);
	page_table_end(out);
}

static void write_heat(struct strbuf *out, const struct page_status *s, const struct page_record *r)
{
	struct heat_caption caption = { .subject = "This layer",
					.backend = s->backend,
					.now_ns = s->now_ns,
					.incomplete = r->files && r->files->complete_since_ns };

	page_heading(out, "Heat");
	heat_svg_write(out, r->picture, &caption, false);
	strbuf_append(out, "<p><a href=\"/heat?id=");
	markup_append_url(out, r->view->record.id);
	strbuf_append(out, "\">with all layers below it</a></p>\n");
}

void page_record_write(struct strbuf *out, const struct page_status *s, const struct page_record *r)
{
	char title[64];

	(void)snprintf(title, sizeof(title), "Record %s", r->view->record.id);
	page_begin(out, s, title, "/record");
	strbuf_append(out, "<div class=\"wide\"><table><tbody>");
	write_facts(out, s, r->view);
	if (r->owners)
		strbuf_append(out, r->owners);
	page_table_end(out);
	write_explanation(out, r->explanation);
	if (r->picture)
		write_heat(out, s, r);
	page_heading(out, "Files");
	if (r->files)
		write_files(out, s, r);
	else
		page_note(out, r->files_problem ? r->files_problem : "not known");
	page_end(out);
}
