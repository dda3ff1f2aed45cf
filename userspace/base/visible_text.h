/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes text from outside safe to print. Names and descriptions could otherwise control the
 * terminal or look like other lines of output.
 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"

/* Escapes control characters, bytes that are not valid UTF-8, and marks that change the direction
 * of writing, as "\n", "\x1b" and "\u202e". Without `utf8`, escapes every byte that is not ASCII.
 */
void visible_text_append(struct strbuf *out, const char *text, bool utf8);
/* The same for a finished line of JSON, with escapes that do not change its meaning. */
void visible_text_append_json(struct strbuf *out, const char *json);
