/* SPDX-License-Identifier: Apache-2.0 */
/* Answers requests for pages: gathers what a page shows, without holding a lock while it is
 * rendered by page/, and replies with it. Nothing can be changed through it. */
#pragma once

#include "web/http_message.h"
#include "web/page_sources.h"

void pages_show(const struct page_sources *sources, const struct http_request *request,
		struct http_reply *reply);
