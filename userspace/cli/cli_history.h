/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's history as a trace that simulate reads. */
#pragma once

#include <stdio.h>

#include "cli/cli.h"

/* Writes the trace to the stream. Ids are hashes of the layers' identities, or, with `names`, the
 * identities themselves; of a layer without one, the name of the layer. */
int cli_history_export(struct cli *c, int64_t since_ns, bool names, FILE *out, struct error *e);
