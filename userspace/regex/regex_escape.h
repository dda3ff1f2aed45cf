/* SPDX-License-Identifier: Apache-2.0 */
/* Escapes of a regular expression that stand for one character: `\.`, `\n`, `\x41`, `\x{20ac}`. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* Reads the escape that starts at *at with its backslash, and moves behind it. -EINVAL. */
int regex_escape_read(const char **at, uint32_t *ret_character, struct error *e);
