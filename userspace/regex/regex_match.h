/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a compiled regular expression over a text, all of its states side by side (Thompson). */
#pragma once

#include <stdbool.h>

#include "regex/regex_program.h"

/* Whether the expression matches somewhere in the text. Takes no memory but stack; time: steps of
 * the program times bytes of the text. A byte that is not UTF-8 counts as U+FFFD, as in Go. */
bool regex_match(const struct regex_program *p, const char *text);
