/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_progress.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static int run(struct cli *c, struct error *e)
{
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;
	struct cli_image unused;

	request.id = c->line.words[0];
	return cli_progress_call(c, "Extract", &request.base, &unused, e);
}

const struct cli_verb command_extract = {
	.name = "extract",
	.arguments = "ID",
	.summary = "unpack a lazy record and its parents now",
	.details = "The first mount or the first child does this, too.",
	.min_words = 1,
	.max_words = 1,
	.run = run,
};
