/* SPDX-License-Identifier: Apache-2.0 */
/* Planning a prune from within a live view. Deletes nothing. */
#pragma once

#include "cli/top/top_feed.h"

/* `s->input` is how much is to be kept (a size, or a share of the file system), or a policy's name.
 * Makes a page of the plan, or a notice. */
void top_plan_make(struct top_feed *f, struct top_state *s);
