/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/cli_completion.h"
#include "cli/commands.h"

static int run(struct cli *c, struct error *e)
{
	if (cli_completion_print(c->line.words[0], c->verbs) == 0)
		return 0;
	return cli_usage(c, e, "there is no completion for '%.40s', but for " CLI_COMPLETION_SHELLS,
			 c->line.words[0]);
}

const struct cli_verb command_completion = {
	.name = "completion",
	.arguments = "SHELL",
	.summary = "print what completes varve's words in a shell",
	.details = "The shell is " CLI_COMPLETION_SHELLS
		   ". In bash: eval \"$(varve completion bash)\"",
	.min_words = 1,
	.max_words = 1,
	.run = run,
};
