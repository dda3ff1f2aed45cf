/* SPDX-License-Identifier: Apache-2.0 */
/* Writes text from outside into HTML and SVG, where it can only ever be text. */
#pragma once

#include "base/strbuf.h"

/* Escapes what markup means (also within quotes), and, as visible_text_append() does, control
 * characters, bytes that are not UTF-8 and marks that change the direction of writing. */
void markup_append(struct strbuf *out, const char *text);
/* The same for the value of one parameter of a URL, which needs no further escapes. */
void markup_append_url(struct strbuf *out, const char *text);
