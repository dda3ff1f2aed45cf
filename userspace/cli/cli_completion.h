/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what completes varve's words in a shell, from the tables that --help is printed from. */
#pragma once

#include "cli/cli_options.h"

#define CLI_COMPLETION_SHELLS "bash, fish or zsh"

/* -EINVAL: not one of these. */
int cli_completion_print(const char *shell, const struct cli_verb *const *verbs);
