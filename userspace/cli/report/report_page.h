/* SPDX-License-Identifier: Apache-2.0 */
/* A report for people: the same sections and facts as text and as HTML. */
#pragma once

#include "cli/output.h"
#include "cli/report/report_facts.h"

void report_page_text(struct output *o, const struct report_facts *f);
/* One file that needs nothing from elsewhere; texts from outside can only be text in it. */
void report_page_html(struct strbuf *out, const struct report_facts *f);
