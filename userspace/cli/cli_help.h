/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of --help, made from the same tables that the command line is parsed with. */
#pragma once

#include "cli/cli_options.h"

void cli_help_overview(const struct cli_verb *const *verbs);
void cli_help_family(const struct cli_verb *const *verbs, const char *family);
void cli_help_verb(const struct cli_verb *verb);
