/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions from outside: POSIX extended ones, which the C library would let grow
 * without bounds, so that costly ones are refused first. Unlike Go's RE2, which containerd uses:
 * no \d, (?i) or lazy repetition, `.` matches a newline too, and \w, \s and \b are those of glibc.
 */
#pragma once

#include <regex.h>

#include "base/error.h"

/* -EINVAL: malformed, with a back reference, or too costly. Freed with regfree(). */
int filter_regex_compile(const char *pattern, regex_t *ret_regex, struct error *e);
