/* SPDX-License-Identifier: Apache-2.0 */
/* Pages about what was done with the store, and what would be. As pages_store.h. */
#pragma once

#include "base/error.h"
#include "web/page_request.h"

int pages_work_images(const struct page_request *r, struct strbuf *out, struct error *e);
int pages_work_policies(const struct page_request *r, struct strbuf *out, struct error *e);
int pages_work_regrets(const struct page_request *r, struct strbuf *out, struct error *e);
int pages_work_events(const struct page_request *r, struct strbuf *out, struct error *e);
