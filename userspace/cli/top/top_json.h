/* SPDX-License-Identifier: Apache-2.0 */
/* What a live view shows, as JSON. */
#pragma once

#include "base/json_writer.h"
#include "cli/top/top_state.h"

/* One object: the facts of the header, and the rows of the present view. */
void top_json_write(struct json_writer *w, const struct top_state *s);
