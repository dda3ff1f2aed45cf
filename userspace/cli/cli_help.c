/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_help.h"

#include <ctype.h>
#include <stdio.h>

#include "cli/cli_examples.h"
#include "cli/output_table.h"

/* printf() is not checked here: main() checks stdout at the end. */

static void print_options(const char *title, const struct cli_option *options)
{
	printf("\n%s:\n", title);
	for (; options->name; options++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "--%s%s%s", options->name,
			       options->argument ? " " : "",
			       options->argument ? options->argument : "");
		if (options->letter)
			printf("  -%c, %-24s %s\n", options->letter, text, options->help);
		else
			printf("      %-24s %s\n", text, options->help);
	}
}

static void print_verb(const struct cli_verb *verb)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s %s", verb->name, verb->arguments);
	printf("  %-23s %s\n", text, verb->summary);
}

void cli_help_overview(const struct cli_verb *const *verbs)
{
	printf("Usage: varve [options] COMMAND [options] [arguments]\n\nCommands:\n");
	for (; *verbs; verbs++)
		print_verb(*verbs);
	print_options("Options, before or after the command", cli_options_global);
	printf("\nAn id may be shortened to its first characters, at least four. For details see\n"
	       "'varve COMMAND --help' and varve(1).\n");
}

void cli_help_family(const struct cli_verb *const *verbs, const char *family)
{
	printf("Usage: varve %s COMMAND [options] [arguments]\n\nCommands:\n", family);
	for (; *verbs; verbs++)
		if (cli_options_in_family(*verbs, family))
			print_verb(*verbs);
}

void cli_help_verb(const struct cli_verb *verb)
{
	const struct output_column *column = verb->columns;

	printf("Usage: varve %s%s%s%s\n\n%c%s.\n", verb->name, verb->options ? " [options]" : "",
	       verb->arguments[0] ? " " : "", verb->arguments,
	       toupper((unsigned char)verb->summary[0]), verb->summary + 1);
	if (verb->details)
		printf("%s\n", verb->details);
	if (verb->options)
		print_options("Options", verb->options);
	if (column) {
		printf("\nColumns for -o:\n");
		for (; column->name; column++)
			printf("  %-16s %s\n", column->name, column->help);
	}
	if (cli_examples_find(verb->name))
		printf("\nExample:\n  %s\n", cli_examples_find(verb->name));
	printf("\nSee 'varve --help' for the options of all commands.\n");
}
