/* SPDX-License-Identifier: Apache-2.0 */
/* The value of --since. */
#pragma once

#include <stdint.h>

#include "cli/cli.h"

/* A time, or how long ago ("7d"). -EINVAL is a usage error. */
int cli_since_parse(struct cli *c, const char *text, int64_t *ret_ns, struct error *e);
