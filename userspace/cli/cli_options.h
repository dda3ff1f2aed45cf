/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the command line against a table of verbs. Global options stand before or after the verb;
 * after it, the verb's own options win where both use a letter or a name. No side effects besides
 * getopt's: what was read is a value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CLI_ANY_NUMBER ((size_t)-1)

struct cli;
struct output_column;

/* Tables of these end with an entry without a name. */
struct cli_option {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* what help calls it; only a TEXT may be empty; NULL: takes none */
	const char *help;
};

struct cli_verb {
	const char *name; /* "ls", or "lease ls" in a family of verbs */
	const char *arguments; /* for the usage line */
	const char *summary; /* one line, for the list of verbs */
	const char *details; /* more lines for the verb's own help, or NULL */
	size_t min_words, max_words; /* arguments that are no options */
	const struct cli_option *options; /* NULL: none of its own */
	const struct output_column *columns; /* what -o may name; NULL: prints no table */
	int (*run)(struct cli *c, struct error *e); /* 0 or a negative errno */
};

enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER };

struct cli_globals {
	const char *address; /* NULL: not given */
	const char *columns; /* of -o; NULL: the verb's usual ones */
	enum cli_color color;
	bool json, bytes, no_headings, quiet, no_truncation, verbose;
	bool help, version;
};

/* An option of the verb, in the order given. */
struct cli_given {
	int option; /* index into the verb's table */
	const char *value;
};

struct cli_line {
	struct cli_globals globals;
	const struct cli_verb *verb; /* NULL only with help or version */
	const char *family; /* "lease" of "lease --help", where no verb of it was named */
	struct cli_given *given;
	size_t given_count;
	char **words; /* borrowed from argv, as all text is */
	size_t word_count;
};

extern const struct cli_option cli_options_global[];

/* `verbs` ends with NULL. Reorders argv. -EINVAL with a sentence that names the help to read. */
int cli_options_parse(int argc, char **argv, const struct cli_verb *const *verbs,
		      struct cli_line *ret_line, struct error *e);
void cli_options_free(struct cli_line *line);
/* Whether a verb belongs to a family, as "lease ls" does to "lease"; returns its own name there. */
const char *cli_options_in_family(const struct cli_verb *verb, const char *family);
