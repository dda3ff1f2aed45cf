/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/cli_completion.h"
#include "cli/commands.h"

static int run(struct cli *c, struct error *e)
{
	if (cli_completion_print(c->line.words[0], c->verbs) == 0)
		return 0;
	return cli_usage(c, e, "no completion for shell '%.40s' (" CLI_COMPLETION_SHELLS ")",
			 c->line.words[0]);
}

const struct cli_verb command_completion = {
	.name = "completion",
	.arguments = "SHELL",
	.summary = "print the completion script for a shell",
	.details = "SHELL is " CLI_COMPLETION_SHELLS ". In bash: eval \"$(varve completion bash)\"",
	.min_words = 1,
	.max_words = 1,
	.run = run,
};
