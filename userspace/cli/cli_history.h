/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's history as a trace that simulate reads, and its regrets. */
#pragma once

#include <stdio.h>

#include "base/json_writer.h"
#include "cli/cli.h"
#include "simulate/trace_file.h"
#include "varve.pb-c.h"

/* Writes the trace to the stream. Ids are hashes of the layers' identities, or, with `names`, the
 * identities themselves; of a layer without one, the name of the layer. */
int cli_history_export(struct cli *c, int64_t since_ns, bool names, FILE *out, struct error *e);

/* The agent's trace, which is kept in memory meanwhile; the caller frees it. */
int cli_history_trace(struct cli *c, int64_t since_ns, struct trace *ret_trace, struct error *e);
/* "3 of 120 layers made again within 7 days (2 GiB, 40 s)", of all regrets whose "POLICY/SCORER"
 * begins with this policy; NULL: of all. False: nothing was evicted. */
bool cli_history_regret_text(const struct output *o, const Varve__V1__RegretReply *reply,
			     const char *policy, char *text, size_t size);
/* Writes the member "regrets", an array. */
void cli_history_regrets_json(struct json_writer *w, const Varve__V1__RegretReply *reply,
			      const char *policy);
/* Writes the members of a regret. */
void cli_history_regret_json(struct json_writer *w, const Varve__V1__Regret *regret);
/* What the agent knows of regrets without waiting for anything; NULL: e says why. */
Varve__V1__RegretReply *cli_history_regrets(struct cli *c, struct error *e);
