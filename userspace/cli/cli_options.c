/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"

#define WATCH_MIN_NS (NS_PER_S / 10)
#define MAX_OPTIONS 40 /* of one verb, the global ones included */
#define FIRST_OWN 0x100 /* greater than any letter */
#define FIRST_GLOBAL 0x200

enum global_option {
	GLOBAL_ADDRESS,
	GLOBAL_JSON,
	GLOBAL_OUTPUT,
	GLOBAL_BYTES,
	GLOBAL_NO_HEADINGS,
	GLOBAL_QUIET,
	GLOBAL_NO_TRUNCATION,
	GLOBAL_COLOR,
	GLOBAL_SORT,
	GLOBAL_TIME,
	GLOBAL_WATCH,
	GLOBAL_VERBOSE,
	GLOBAL_VERSION,
	GLOBAL_HELP,
	GLOBAL_END,
};

const struct cli_option cli_options_global[] = {
	[GLOBAL_ADDRESS] = { 'H', "address", "ADDRESS", "the agent's socket (VARVE_ADDRESS)" },
	[GLOBAL_JSON] = { 0, "json", NULL, "print JSON; listings have one object per line" },
	[GLOBAL_OUTPUT] = { 'o', "output", "COL[,COL]", "columns to show, in this order" },
	[GLOBAL_BYTES] = { 'b', "bytes", NULL, "print sizes in bytes" },
	[GLOBAL_NO_HEADINGS] = { 'n', "no-headings", NULL, "print tables without headings" },
	[GLOBAL_QUIET] = { 'q', "quiet", NULL, "print only ids" },
	[GLOBAL_NO_TRUNCATION] = { 0, "no-trunc", NULL, "do not shorten ids and texts" },
	[GLOBAL_COLOR] = { 0, "color", "WHEN", "use color: auto, always or never (NO_COLOR)" },
	[GLOBAL_SORT] = { 0, "sort", "COL", "order a table by a column; -COL: the other way" },
	[GLOBAL_TIME] = { 0, "time", "HOW", "times in tables: age (2 days ago) or iso" },
	[GLOBAL_WATCH] = { 0, "watch", "SECS", "print a table again each time" },
	[GLOBAL_VERBOSE] = { 'v', "verbose", NULL, "report each call to the agent" },
	[GLOBAL_VERSION] = { 0, "version", NULL, "print the version" },
	[GLOBAL_HELP] = { 'h', "help", NULL, "print this help, or the help of a command" },
	[GLOBAL_END] = { 0, NULL, NULL, NULL },
};

/* The arguments of getopt_long(), made from our tables. */
struct getopt_tables {
	char letters[2 * MAX_OPTIONS + 3];
	struct option names[MAX_OPTIONS + 1];
	size_t letter_length, name_count;
};

static void add_option(struct getopt_tables *t, const struct cli_option *option, int value)
{
	assert(t->name_count < MAX_OPTIONS);
	for (size_t i = 0; i < t->name_count; i++)
		if (strcmp(t->names[i].name, option->name) == 0)
			return; /* hidden by the verb's own option */
	t->names[t->name_count++] = (struct option){
		.name = option->name,
		.has_arg = option->argument ? required_argument : no_argument,
		.val = value,
	};
	if (!option->letter || strchr(t->letters, option->letter))
		return;
	t->letters[t->letter_length++] = option->letter;
	if (option->argument)
		t->letters[t->letter_length++] = ':';
}

/* `first` says how getopt treats words: "+:" stops at the first one, ":" moves them to the end. */
static void fill_tables(struct getopt_tables *t, const char *first, const struct cli_option *own)
{
	*t = (struct getopt_tables){ .letter_length = strlen(first) };
	memcpy(t->letters, first, t->letter_length);
	for (int i = 0; own && own[i].name; i++)
		add_option(t, &own[i], FIRST_OWN + i);
	for (int i = 0; cli_options_global[i].name; i++)
		add_option(t, &cli_options_global[i], FIRST_GLOBAL + i);
}

static int find_letter(const struct cli_option *options, int letter)
{
	for (int i = 0; options && options[i].name; i++)
		if (options[i].letter == letter)
			return i;
	return -1;
}

/* FIRST_OWN or FIRST_GLOBAL plus an index, for a letter as well as for a long name. */
static int option_value(const struct cli_option *own, int found)
{
	int index;

	if (found >= FIRST_OWN)
		return found;
	index = find_letter(own, found);
	return index >= 0 ? FIRST_OWN + index
			  : FIRST_GLOBAL + find_letter(cli_options_global, found);
}

static int set_color(struct cli_globals *g, const char *when, struct error *e)
{
	static const char *const names[] = {
		[CLI_COLOR_AUTO] = "auto",
		[CLI_COLOR_ALWAYS] = "always",
		[CLI_COLOR_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(when, names[i]) == 0) {
			g->color = (enum cli_color)i;
			return 0;
		}
	}
	return error_set(e, -EINVAL, "invalid --color '%s' (auto, always or never)", when);
}

static int set_time(struct cli_globals *g, const char *how, struct error *e)
{
	g->iso_times = strcmp(how, "iso") == 0;
	if (g->iso_times || strcmp(how, "age") == 0)
		return 0;
	return error_set(e, -EINVAL, "invalid --time '%s' (age or iso)", how);
}

static int set_watch(struct cli_globals *g, const char *text, struct error *e)
{
	if (units_parse_duration(text, &g->watch_ns) == 0 && g->watch_ns >= WATCH_MIN_NS)
		return 0;
	return error_set(e, -EINVAL, "invalid --watch '%s' (0.1s or more: 2, 500ms, 1m)", text);
}

static int set_global(struct cli_globals *g, enum global_option option, struct error *e)
{
	switch (option) {
	case GLOBAL_ADDRESS:
		g->address = optarg;
		break;
	case GLOBAL_JSON:
		g->json = true;
		break;
	case GLOBAL_OUTPUT:
		g->columns = optarg;
		break;
	case GLOBAL_BYTES:
		g->bytes = true;
		break;
	case GLOBAL_NO_HEADINGS:
		g->no_headings = true;
		break;
	case GLOBAL_QUIET:
		g->quiet = true;
		break;
	case GLOBAL_NO_TRUNCATION:
		g->no_truncation = true;
		break;
	case GLOBAL_COLOR:
		return set_color(g, optarg, e);
	case GLOBAL_SORT:
		g->sort = optarg;
		break;
	case GLOBAL_TIME:
		return set_time(g, optarg, e);
	case GLOBAL_WATCH:
		return set_watch(g, optarg, e);
	case GLOBAL_VERBOSE:
		g->verbose = true;
		break;
	case GLOBAL_VERSION:
		g->version = true;
		break;
	case GLOBAL_HELP:
		g->help = true;
		break;
	case GLOBAL_END:
		assert(0);
	}
	return 0;
}

/* getopt leaves the letter of a bad option in optopt; a bad long name is only in argv. */
static int refuse(int found, char **argv, const struct cli_verb *verb, struct error *e)
{
	const char *space = verb ? " " : "", *name = verb ? verb->name : "";
	const char *text = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };
	const char *culprit = optopt > 0 && optopt < FIRST_OWN ? letter : text;

	if (found == ':')
		return error_set(e, -EINVAL, "option '%s' needs a value (see varve%s%s --help)",
				 culprit, space, name);
	if (optopt >= FIRST_OWN)
		return error_set(e, -EINVAL, "option '%s' takes no value (see varve%s%s --help)",
				 culprit, space, name);
	return error_set(e, -EINVAL, "unknown or ambiguous option '%s' (see varve%s%s --help)",
			 culprit, space, name);
}

/* An empty variable in a script must not turn into "no limit" or "no parent". */
static int check_value(const struct cli_verb *verb, const struct cli_option *option,
		       struct error *e)
{
	if (!option->argument || *optarg || strcmp(option->argument, "TEXT") == 0)
		return 0;
	return error_set(e, -EINVAL, "the value of option '--%s' is empty (see varve %s --help)",
			 option->name, verb->name);
}

static int read_options(int argc, char **argv, const struct getopt_tables *tables,
			struct cli_line *line, struct error *e)
{
	const struct cli_option *own = line->verb ? line->verb->options : NULL;
	int found;

	opterr = 0;
	optind = 0; /* glibc: start over */
	while ((found = getopt_long(argc, argv, tables->letters, tables->names, NULL)) != -1) {
		int value, code;

		if (found == '?' || found == ':')
			return refuse(found, argv, line->verb, e);
		value = option_value(own, found);
		if (value < FIRST_GLOBAL) {
			code = check_value(line->verb, &own[value - FIRST_OWN], e);
			if (code < 0)
				return code;
			line->given[line->given_count++] = (struct cli_given){
				.option = value - FIRST_OWN,
				.value = optarg,
			};
			continue;
		}
		code = set_global(&line->globals, (enum global_option)(value - FIRST_GLOBAL), e);
		if (code < 0)
			return code;
	}
	return 0;
}

const char *cli_options_in_family(const struct cli_verb *verb, const char *family)
{
	size_t length = strlen(family);

	return strncmp(verb->name, family, length) == 0 && verb->name[length] == ' '
		       ? verb->name + length + 1
		       : NULL;
}

static int find_verb(const struct cli_verb *const *verbs, const char *word, struct cli_line *line,
		     struct error *e)
{
	for (; *verbs; verbs++) {
		const char *name = (*verbs)->name;

		if (line->family)
			name = cli_options_in_family(*verbs, line->family);
		if (name && strcmp(name, word) == 0) {
			line->verb = *verbs;
			return 0;
		}
		if (!line->family && cli_options_in_family(*verbs, word)) {
			line->family = word;
			return 0;
		}
	}
	if (line->family)
		return error_set(e, -EINVAL, "unknown command '%s %s' (see varve %s --help)",
				 line->family, word, line->family);
	return error_set(e, -EINVAL, "unknown command '%s' (see varve --help)", word);
}

static int check_words(const struct cli_line *line, struct error *e)
{
	const struct cli_verb *verb = line->verb;

	for (size_t i = 0; i < line->word_count; i++)
		if (line->words[i][0] == '\0')
			return error_set(e, -EINVAL, "an argument is empty (see varve %s --help)",
					 verb->name);
	if (line->word_count < verb->min_words)
		return error_set(e, -EINVAL, "%s needs %s (see varve %s --help)", verb->name,
				 verb->arguments, verb->name);
	if (line->word_count > verb->max_words)
		return error_set(e, -EINVAL, "unexpected argument '%s' (see varve %s --help)",
				 line->words[verb->max_words], verb->name);
	return 0;
}

/* Parses up to the verb, whose position goes to *at; -ENODATA when there is none. */
static int read_verb(int argc, char **argv, const struct cli_verb *const *verbs, int *at,
		     struct cli_line *line, struct error *e)
{
	struct getopt_tables tables;

	fill_tables(&tables, "+:", NULL);
	while (!line->verb) {
		int code = read_options(argc - *at, argv + *at, &tables, line, e);

		if (code < 0)
			return code;
		*at += optind;
		if (*at == argc)
			return -ENODATA;
		code = find_verb(verbs, argv[*at], line, e);
		if (code < 0)
			return code;
	}
	return 0;
}

static int parse(int argc, char **argv, const struct cli_verb *const *verbs, struct cli_line *line,
		 struct error *e)
{
	struct getopt_tables tables;
	int at = 0;
	int code = read_verb(argc, argv, verbs, &at, line, e);

	if (code == -ENODATA && (line->globals.help || (line->globals.version && !line->family)))
		return 0;
	if (code == -ENODATA)
		return error_set(e, -EINVAL, "no command given (see varve%s%s --help)",
				 line->family ? " " : "", line->family ? line->family : "");
	if (code < 0)
		return code;

	fill_tables(&tables, ":", line->verb->options);
	code = read_options(argc - at, argv + at, &tables, line, e);
	if (code < 0)
		return code;
	line->words = argv + at + optind;
	line->word_count = (size_t)(argc - at - optind);
	return line->globals.help || line->globals.version ? 0 : check_words(line, e);
}

int cli_options_parse(int argc, char **argv, const struct cli_verb *const *verbs,
		      struct cli_line *ret_line, struct error *e)
{
	struct cli_line line = { 0 };
	size_t letters = 1;
	int code;

	/* There are at most as many options as characters: one word can hold several letters. */
	for (int i = 0; i < argc; i++)
		letters += strlen(argv[i]);
	line.given = calloc(letters, sizeof(*line.given));
	if (!line.given)
		return error_set(e, -ENOMEM, "out of memory for the command line");

	code = parse(argc, argv, verbs, &line, e);
	if (code < 0) {
		cli_options_free(&line);
		return code;
	}
	*ret_line = line;
	return 0;
}

void cli_options_free(struct cli_line *line)
{
	free(line->given);
	line->given = NULL;
	line->given_count = 0;
}
