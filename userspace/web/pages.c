/* SPDX-License-Identifier: Apache-2.0 */
#include "web/pages.h"

#include <errno.h>

#include "base/clock.h"
#include "base/markup.h"
#include "heat/heat_html.h"
#include "manager/manager.h"
#include "manager/numbers/numbers.h"
#include "page/page_style.h"
#include "usage/usage_backend.h"
#include "web/pages_store.h"
#include "web/pages_work.h"

static const struct {
	const char *path;
	int (*write)(const struct page_request *r, struct strbuf *out, struct error *e);
	bool takes_long;
} pages[] = {
	{ "/", pages_store_overview, false },	   { "/records", pages_store_records, false },
	{ "/record", pages_store_record, true },   { "/heat", pages_store_heat, true },
	{ "/images", pages_work_images, true },	   { "/policies", pages_work_policies, true },
	{ "/regrets", pages_work_regrets, false }, { "/events", pages_work_events, false },
};

bool pages_take_long(const struct http_request *request)
{
	const char *filter = http_message_parameter(request, "filter");

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (strcmp(request->path, pages[i].path) == 0)
			return pages[i].takes_long || (filter && *filter);
	return false;
}

static void reply_static(struct http_reply *reply, const char *type, const char *text)
{
	*reply = (struct http_reply){
		.status = 200, .type = type, .text = text, .length = strlen(text), .is_page = true
	};
}

static void add_run_time(const char *name, uint64_t runs, uint64_t run_ns, void *user)
{
	(void)name;
	(void)runs;
	*(int64_t *)user += (int64_t)run_ns;
}

static void reply_error(struct http_reply *reply, const struct page_status *s, int code,
			const char *text)
{
	cleanup(strbuf_free) struct strbuf out = { 0 };

	page_begin(&out, s, "Not possible", "");
	strbuf_append(&out, "<p class=\"error\">");
	markup_append(&out, text);
	strbuf_append(&out, "</p>\n");
	page_end(&out);
	*reply = (struct http_reply){ .status = code == -ENOENT	     ? 404
						: code == -EINVAL    ? 400
						: code == -ECANCELED ? 503
								     : 500,
				      .type = "text/html; charset=utf-8",
				      .length = out.length,
				      .is_page = true };
	reply->owned = strbuf_take(&out);
	reply->text = reply->owned;
}

static void reply_out_of_memory(struct http_reply *reply)
{
	static const char text[] = "the agent is out of memory\n";

	*reply = (struct http_reply){ .status = 503,
				      .type = "text/plain; charset=utf-8",
				      .text = text,
				      .length = strlen(text) };
}

static void reply_page(struct http_reply *reply, struct strbuf *out)
{
	*reply = (struct http_reply){ .status = 200,
				      .type = "text/html; charset=utf-8",
				      .length = out->length,
				      .is_page = true };
	reply->owned = strbuf_take(out);
	reply->text = reply->owned;
}

static void show(const struct page_sources *sources, const struct http_request *request,
		 struct http_reply *reply)
{
	cleanup(manager_info_free) struct manager_info info = { 0 };
	cleanup(strbuf_free) struct strbuf out = { 0 };
	struct error e = { 0 };
	struct page_request r = { .sources = sources, .request = request, .info = &info };
	int code = manager_info(sources->manager, &info, &e);

	if (code < 0) {
		reply_out_of_memory(reply);
		return;
	}
	r.status = (struct page_status){ .backend = usage_backend_name(info.backend),
					 .degraded_reason = info.degraded_reason,
					 .lost = info.lost,
					 .now_ns = clock_wall_ns() / NS_PER_S * NS_PER_S };
	/* What it could not find has no time. */
	(void)numbers_visit_programs(sources->manager, add_run_time, &r.status.programs_ns);
	code = error_set(&e, -ENOENT, "there is no such page");
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (strcmp(request->path, pages[i].path) == 0)
			code = pages[i].write(&r, &out, &e);
	if (code < 0)
		reply_error(reply, &r.status, code, e.text);
	else
		reply_page(reply, &out);
	if (!reply->text)
		reply_out_of_memory(reply);
}

void pages_show(const struct page_sources *sources, const struct http_request *request,
		struct http_reply *reply)
{
	if (strcmp(request->path, "/style.css") == 0)
		reply_static(reply, "text/css; charset=utf-8", page_style);
	else if (strcmp(request->path, "/script.js") == 0)
		reply_static(reply, "text/javascript; charset=utf-8", heat_html_script);
	else
		show(sources, request, reply);
}
