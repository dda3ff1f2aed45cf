/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the completion script for a shell, made from the same tables as --help. */
#pragma once

#include "cli/cli_options.h"

#define CLI_COMPLETION_SHELLS "bash, fish or zsh"

/* -EINVAL for any other shell. */
int cli_completion_print(const char *shell, const struct cli_verb *const *verbs);
