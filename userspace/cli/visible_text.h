/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and descriptions come from outside: shown as they are, they could steer the terminal or
 * pretend to be other lines. Here they become text that can only be read.
 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"

/* Control characters, bytes that are no UTF-8 and marks that turn the direction of writing become
 * "\n", "\x1b" or "\u202e". Without `utf8` so does every byte beyond ASCII. */
void visible_text_append(struct strbuf *out, const char *text, bool utf8);
/* The same for finished JSON, by escapes that leave its meaning alone. */
void visible_text_append_json(struct strbuf *out, const char *json);
