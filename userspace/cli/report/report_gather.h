/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the agent for what a report says. */
#pragma once

#include "cli/cli.h"
#include "cli/report/report_facts.h"

/* Of layers that were made so long ago. What read-only callers cannot ask for is missing. */
int report_gather(struct cli *c, int64_t older_than_ns, struct report_facts *ret_facts,
		  struct error *e);
