/* SPDX-License-Identifier: Apache-2.0 */
/* A picture as a page of its own, in which a click enlarges what it meets. */
#pragma once

#include "heat/heat_text.h"

/* The script, which also the agent's page serves, and the hash of it that a
 * Content-Security-Policy names. */
extern const char heat_html_script[];
#define HEAT_HTML_SCRIPT_HASH "sha256-U9B43nGjAYTFWtCPla+jnC1TA2SA6aiM52Uf/Q/4Eaw="

void heat_html_write(struct strbuf *out, const struct heat_picture *p,
		     const struct heat_caption *caption);
