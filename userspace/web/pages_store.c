/* SPDX-License-Identifier: Apache-2.0 */
#include "web/pages_store.h"

#include <errno.h>

#include "base/clock.h"
#include "base/version.h"
#include "manager/numbers/numbers.h"
#include "page/page_overview.h"
#include "page/page_records.h"
#include "web/pages_heat.h"

/* ---- overview ---- */

struct history_count {
	struct page_history *history;
	int64_t now_ns;
};

static int count_event(const struct history_view *event, void *user)
{
	struct history_count *c = user;

	page_history_add(c->history, event, c->now_ns);
	return 0;
}

static int gather_history(const struct page_request *r, struct page_history *h, struct error *e)
{
	const struct history_query query = { .id = "",
					     .since_ns = r->status.now_ns -
							 PAGE_DAYS * 86400 * NS_PER_S,
					     .cancelled = r->request->cancelled };
	struct history_count c = { h, r->status.now_ns };

	return eviction_history(r->sources->manager, &query, count_event, &c, e);
}

int pages_store_overview(const struct page_request *r, struct strbuf *out, struct error *e)
{
	struct manager *m = r->sources->manager;
	cleanup(free_ptr) struct numbers *n = malloc(sizeof(*n));
	cleanup(free_ptr) struct page_history *h = calloc(1, sizeof(*h));
	cleanup(free_ptr) struct eviction_policy_view *policies = NULL;
	struct page_overview o = { .numbers = n,
				   .history = h,
				   .version = VARVE_VERSION,
				   .root = r->info->root,
				   .started_ns = r->info->started_ns };
	int code;

	if (!n || !h)
		return error_set(e, -ENOMEM, "out of memory");
	code = numbers_take(m, n, e);
	if (code == 0)
		code = gather_history(r, h, e);
	if (code == 0)
		code = eviction_policies_list(m, EVICTION_POLICIES_NO_USAGE, r->request->cancelled,
					      &policies, &o.policy_count, e);
	if (code < 0)
		return code;
	o.policies = policies;
	page_overview_write(out, &r->status, &o);
	return 0;
}

/* ---- records ---- */

/* From 1; what is not a number is 1. */
static size_t parse_page(const char *text)
{
	char *end;
	unsigned long page = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && page > 0 && page < 1000000000 ? page
											     : 1;
}

int pages_store_records(const struct page_request *r, struct strbuf *out, struct error *e)
{
	cleanup(record_page_free) struct record_page page = { 0 };
	struct error filter_error = { 0 };
	struct page_records records = {
		.query = { .filter = page_request_parameter(r, "filter"),
			   .order = page_records_order(page_request_parameter(r, "sort")),
			   .ascending = strcmp(page_request_parameter(r, "order"), "up") == 0,
			   .offset = (parse_page(page_request_parameter(r, "page")) - 1) *
				     PAGE_RECORDS,
			   .limit = PAGE_RECORDS,
			   .cancelled = r->request->cancelled },
		.page = &page,
	};
	int code = record_page_get(r->sources->manager, &records.query, &page, &filter_error);

	if (code == -EINVAL)
		records.problem = filter_error.text;
	else if (code < 0)
		return error_set(e, code, "%s", filter_error.text);
	page_records_write(out, &r->status, &records);
	return 0;
}

/* ---- one record ---- */

static int add_owner(const struct owner_name *name, void *user)
{
	page_record_owner(user, name);
	return 0;
}

/* The files of the layer, and the picture of them. That there are none is no error. */
static int gather_files(const struct page_request *r, const struct record_view *v,
			struct record_file_list *files, struct pages_heat_drawn *drawn,
			struct page_record *page, struct error *problem)
{
	int code = pages_heat_files(r, v->record.id, files, problem);

	if (code == -EINVAL || code == -ENOENT) {
		page->files_problem = problem->text;
		return 0;
	}
	if (code < 0)
		return code;
	page->files = files;
	code = pages_heat_draw_layer(r, v, files, drawn, problem);
	page->picture = &drawn->picture;
	return code;
}

static int show_record(const struct page_request *r, const struct record_view *v,
		       struct strbuf *out, struct error *e)
{
	cleanup(record_file_list_free) struct record_file_list files = { 0 };
	cleanup(pages_heat_drawn_free) struct pages_heat_drawn drawn = { 0 };
	cleanup(strbuf_free) struct strbuf owners = { 0 };
	struct eviction_explanation explanation;
	struct page_record page = { .view = v };
	int code = gather_files(r, v, &files, &drawn, &page, e);

	if (code < 0)
		return code;
	(void)owners_visit_names(r->sources->owners, v->record.id, add_owner, &owners);
	page.owners = owners.text;
	if (eviction_explain(r->sources->manager, v->record.id, r->request->cancelled, &explanation,
			     NULL) == 0)
		page.explanation = &explanation;
	page_record_write(out, &r->status, &page);
	return 0;
}

int pages_store_record(const struct page_request *r, struct strbuf *out, struct error *e)
{
	const char *id = page_request_parameter(r, "id");
	const struct record_query query = { .ids = &id,
					    .id_count = 1,
					    .cancelled = r->request->cancelled };
	struct record_view *views = NULL;
	size_t count = 0;
	int code = record_list(r->sources->manager, &query, &views, &count, e);

	if (code == 0)
		code = count == 1 ? show_record(r, views, out, e)
				  : error_set(e, -ENOENT, "no such record");
	record_list_free(views, count);
	return code;
}

int pages_store_heat(const struct page_request *r, struct strbuf *out, struct error *e)
{
	return pages_heat_write(r, page_request_parameter(r, "id"), out, e);
}
