/* SPDX-License-Identifier: Apache-2.0 */
/* What a page is made from. */
#pragma once

#include "manager/manager.h"
#include "page/page_frame.h"
#include "web/http_message.h"
#include "web/page_sources.h"

struct page_request {
	const struct page_sources *sources;
	const struct http_request *request;
	const struct manager_info *info;
	struct page_status status;
};

/* A parameter of the request, or "". */
static inline const char *page_request_parameter(const struct page_request *r, const char *name)
{
	const char *value = http_message_parameter(r->request, name);

	return value ? value : "";
}
