/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static int run(struct cli *c, struct error *e)
{
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;

	request.id = c->line.words[0];
	return cli_call(c, "Remove", &request.base, e);
}

const struct cli_verb command_rm = {
	.name = "rm",
	.arguments = "ID",
	.summary = "remove a record",
	.details = "Exits with 5 when the record is in use, is pinned or has children.",
	.min_words = 1,
	.max_words = 1,
	.run = run,
};
