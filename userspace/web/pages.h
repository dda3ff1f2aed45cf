/* SPDX-License-Identifier: Apache-2.0 */
/* Answers requests for pages: gathers what a page shows, without holding a lock while it is
 * rendered by page/, and replies with it. Nothing can be changed through it. */
#pragma once

#include "web/http_message.h"
#include "web/page_sources.h"

/* Whether the page plans, walks layers, draws, filters, or asks another program. */
bool pages_take_long(const struct http_request *request);

void pages_show(const struct page_sources *sources, const struct http_request *request,
		struct http_reply *reply);
