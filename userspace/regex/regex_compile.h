/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions in Go's syntax, which containerd's filters have, for expressions and texts
 * from outside: matching takes time proportional to the length of the text times the size of the
 * expression, both of which are bounded. No C library promises that: regcomp(3), TRE and PCRE2 copy
 * what is repeated without a bound or backtrack, and none of them reads this syntax.
 */
#pragma once

#include "base/error.h"
#include "regex/regex_program.h"

/*
 * As Go's regexp.Compile() in Go 1.22. -EINVAL: malformed, more than REGEX_STEPS_MAX steps, or one
 * of the things that are not supported: Unicode classes (\p), and (?i) for characters beyond ASCII.
 * -ENOMEM.
 */
int regex_compile(const char *pattern, struct regex_program **ret_program, struct error *e);
