/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses the command line with a table of verbs. Global options stand before or after the verb;
 * after it, an option of the verb hides a global one with the same letter or name. Parsing has no
 * side effects but those of getopt.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CLI_ANY_NUMBER ((size_t)-1)

struct cli;
struct output_column;

/* An array of options ends with an entry whose name is NULL. */
struct cli_option {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* its name in the help; only TEXT may be empty; NULL: takes none */
	const char *help;
};

struct cli_verb {
	const char *name; /* "ls", or "lease ls" in a family of verbs */
	const char *arguments; /* for the usage line */
	const char *summary; /* one line, for the list of verbs */
	const char *details; /* more lines for the verb's own help, or NULL */
	size_t min_words, max_words; /* number of arguments that are not options */
	const struct cli_option *options; /* NULL: only the global ones */
	const struct output_column
		*columns; /* what -o can select; NULL: the verb prints no table */
	int (*run)(struct cli *c, struct error *e); /* 0 or a negative errno */
};

enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER };

struct cli_globals {
	const char *address; /* NULL: not given */
	const char *columns; /* the value of -o; NULL: the default columns */
	const char *sort; /* the value of --sort; NULL: as the command orders its rows */
	int64_t watch_ns; /* the value of --watch; 0: once */
	enum cli_color color;
	bool iso_times; /* in tables */
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
	const char *family; /* "lease" in "lease --help", where no verb of the family is given */
	struct cli_given *given;
	size_t given_count;
	char **words; /* borrowed from argv, as all texts are */
	size_t word_count;
};

extern const struct cli_option cli_options_global[];

/* `verbs` ends with NULL. Reorders argv. -EINVAL, with an error that names the help to read. */
int cli_options_parse(int argc, char **argv, const struct cli_verb *const *verbs,
		      struct cli_line *ret_line, struct error *e);
void cli_options_free(struct cli_line *line);
/* The name of the verb within the family, "ls" for "lease ls" in "lease"; NULL: not in it. */
const char *cli_options_in_family(const struct cli_verb *verb, const char *family);
