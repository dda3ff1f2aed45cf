/* SPDX-License-Identifier: Apache-2.0 */
/* Pages about what the store has. -EINVAL: the request; -ENOENT; -ECANCELED: it took too long. */
#pragma once

#include "base/error.h"
#include "web/page_request.h"

int pages_store_overview(const struct page_request *r, struct strbuf *out, struct error *e);
int pages_store_records(const struct page_request *r, struct strbuf *out, struct error *e);
int pages_store_record(const struct page_request *r, struct strbuf *out, struct error *e);
int pages_store_heat(const struct page_request *r, struct strbuf *out, struct error *e);
