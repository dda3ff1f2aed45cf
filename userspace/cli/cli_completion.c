/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_completion.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* printf() is not checked here: main() checks stdout at the end. */

static bool takes_lease(const struct cli_verb *verb)
{
	return strncmp(verb->name, "lease ", 6) == 0 && strncmp(verb->arguments, "NAME", 4) == 0 &&
	       strcmp(verb->name, "lease create") != 0;
}

static bool takes_id(const struct cli_verb *verb)
{
	return strncmp(verb->arguments, "ID", 2) == 0 || strncmp(verb->arguments, "[ID", 3) == 0;
}

/* The first word of the verb's name, if this verb is the first one of a family; else NULL. */
static const char *new_family(const struct cli_verb *const *verbs, size_t at, char family[32])
{
	const char *blank = strchr(verbs[at]->name, ' ');

	if (!blank)
		return NULL;
	(void)snprintf(family, 32, "%.*s", (int)(blank - verbs[at]->name), verbs[at]->name);
	for (size_t i = 0; i < at; i++)
		if (cli_options_in_family(verbs[i], family))
			return NULL;
	return family;
}

/* The fields that filters know; each is completed with what may follow it. */
#define FILTER_FIELDS                                                                            \
	"age\\> description~= id== inuse== lastread\\> lastused\\> mutable== opens== parents== " \
	"pinned== retain== shared== size\\> type== usagecount=="

/* ---- bash and zsh: both can run the one function that prints the candidates ---- */

static void print_options(const struct cli_option *options)
{
	for (; options && options->name; options++) {
		printf("--%s\\n", options->name);
		if (options->letter)
			printf("-%c\\n", options->letter);
	}
}

/* As patterns of a case statement, each after the verb that has the option: a letter can take a
 * value in one verb, and none in another. */
static void print_options_with_value(const char *verb, const struct cli_option *options)
{
	for (; options && options->name; options++) {
		if (!options->argument)
			continue;
		printf("|%s:--%s", verb, options->name);
		if (options->letter)
			printf("|%s:-%c", verb, options->letter);
	}
}

static void print_verb_options_with_value(const struct cli_verb *verb)
{
	char quoted[64];

	(void)snprintf(quoted, sizeof(quoted), "'%s'", verb->name);
	print_options_with_value(quoted, verb->options);
}

static void print_verb_names(const struct cli_verb *const *verbs)
{
	char family[32];

	for (size_t i = 0; verbs[i]; i++) {
		const char *first = strchr(verbs[i]->name, ' ') ? new_family(verbs, i, family)
								: verbs[i]->name;

		if (first)
			printf("%s\\n", first);
	}
}

static void print_cases(const struct cli_verb *const *verbs)
{
	char family[32];

	for (size_t i = 0; verbs[i]; i++) {
		if (new_family(verbs, i, family)) {
			printf("\t'%s') printf '%%b' '", family);
			for (size_t k = i; verbs[k]; k++) {
				const char *own = cli_options_in_family(verbs[k], family);

				if (own)
					printf("%s\\n", own);
			}
			printf("' ;;\n");
		}
		printf("\t'%s -'*) printf '%%b' '", verbs[i]->name);
		print_options(verbs[i]->options);
		print_options(cli_options_global);
		printf("' ;;\n");
		if (takes_id(verbs[i]))
			printf("\t'%s '*) varve ls -q 2> /dev/null ;;\n", verbs[i]->name);
		if (takes_lease(verbs[i]))
			printf("\t'%s '*) varve lease ls -q 2> /dev/null ;;\n", verbs[i]->name);
	}
	printf("\t' -'*) printf '%%b' '");
	print_options(cli_options_global);
	printf("' ;;\n\t' '*) printf '%%b' '");
	print_verb_names(verbs);
	printf("' ;;\n");
}

/* The verb is the first word before the cursor that is neither an option nor its value; in a
 * family, the first two. */
static void print_candidates_function(const struct cli_verb *const *verbs)
{
	char family[32];

	printf("_varve_candidates() {\n"
	       "\tlocal verb='' value='' count=0\n"
	       "\twhile [ $# -gt 1 ]; do\n"
	       "\t\tif [ -n \"$value\" ]; then value=''; shift; continue; fi\n"
	       "\t\tcase $verb:$1 in\n"
	       "\t\t*:--*=*) ;;\n"
	       "\t\tno-such-verb:");
	print_options_with_value("*", cli_options_global);
	for (size_t i = 0; verbs[i]; i++)
		print_verb_options_with_value(verbs[i]);
	printf(") value=$1 ;;\n"
	       "\t\t*:-*) ;;\n"
	       "\t\t*)\n"
	       "\t\t\tcase $count$verb in\n"
	       "\t\t\t0) verb=$1 count=1 ;;\n"
	       "\t\t\t1no-such-family");
	for (size_t i = 0; verbs[i]; i++)
		if (new_family(verbs, i, family))
			printf("|1%s", family);
	printf(") verb=\"$verb $1\" count=2 ;;\n"
	       "\t\t\tesac ;;\n"
	       "\t\tesac\n"
	       "\t\tshift\n"
	       "\tdone\n"
	       "\tcase $value in\n"
	       "\t--lease) varve lease ls -q 2> /dev/null; return 0 ;;\n"
	       "\t--filter) printf '%%s\\n' " FILTER_FIELDS "; return 0 ;;\n"
	       "\t?*) return 0 ;;\n"
	       "\tesac\n"
	       "\tcase $verb in\n\t'no-such-family'");
	for (size_t i = 0; verbs[i]; i++)
		if (new_family(verbs, i, family))
			printf("|'%s'", family);
	printf(") ;;\n\t*) verb=\"$verb $1\" ;;\n\tesac\n\tcase $verb in\n");
	print_cases(verbs);
	printf("\tesac\n}\n\n");
}

static void print_bash(const struct cli_verb *const *verbs)
{
	printf("# bash completion of varve: eval \"$(varve completion bash)\"\n\n");
	print_candidates_function(verbs);
	printf("_varve() {\n"
	       "\tlocal IFS=$'\\n' candidates\n"
	       "\tcandidates=$(_varve_candidates \"${COMP_WORDS[@]:1:COMP_CWORD}\")\n"
	       "\tCOMPREPLY=($(compgen -W \"$candidates\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
	       "}\n"
	       "complete -o default -F _varve varve\n");
}

static void print_zsh(const struct cli_verb *const *verbs)
{
	printf("#compdef varve\n# zsh completion of varve: source <(varve completion zsh)\n\n");
	print_candidates_function(verbs);
	printf("_varve() {\n"
	       "\tlocal -a candidates\n"
	       "\tcandidates=(${(f)\"$(_varve_candidates \"${(@)words[2,CURRENT]}\")\"})\n"
	       "\tif (( $#candidates )); then\n"
	       "\t\tcompadd -- $candidates\n"
	       "\telse\n"
	       "\t\t_files\n"
	       "\tfi\n"
	       "}\n"
	       "compdef _varve varve\n");
}

/* ---- fish ---- */

static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

/* As patterns of a switch statement. */
static void print_fish_options_with_value(const char *verb, const struct cli_option *options)
{
	for (; options && options->name; options++) {
		if (!options->argument)
			continue;
		printf(" '%s:--%s'", verb, options->name);
		if (options->letter)
			printf(" '%s:-%c'", verb, options->letter);
	}
}

static void print_fish_options(const char *condition, const struct cli_option *options)
{
	for (; options && options->name; options++) {
		printf("complete -c varve%s -l %s", condition, options->name);
		if (options->letter)
			printf(" -s %c", options->letter);
		printf("%s -d ", options->argument ? " -r" : "");
		print_quoted(options->help);
		if (strcmp(options->name, "lease") == 0)
			printf(" -f -a '(varve lease ls -q 2> /dev/null)'");
		if (strcmp(options->name, "filter") == 0)
			printf(" -f -a '" FILTER_FIELDS "'");
		putchar('\n');
	}
}

/* Prints the verb before the cursor, of a family with both words if there are two. */
static void print_fish_function(const struct cli_verb *const *verbs)
{
	char family[32];

	printf("function __varve_verb\n"
	       "    set -l verb\n"
	       "    set -l value no\n"
	       "    for word in (commandline -opc)[2..]\n"
	       "        if test $value = yes\n"
	       "            set value no\n"
	       "            continue\n"
	       "        end\n"
	       "        switch \"$verb:$word\"\n"
	       "            case '*:--*=*'\n"
	       "            case no-such-verb:");
	print_fish_options_with_value("*", cli_options_global);
	for (size_t i = 0; verbs[i]; i++)
		print_fish_options_with_value(verbs[i]->name, verbs[i]->options);
	printf("\n                set value yes\n"
	       "            case '*:-*'\n"
	       "            case ':*'\n"
	       "                set verb $word\n"
	       "            case no-such-family:");
	for (size_t i = 0; verbs[i]; i++)
		if (new_family(verbs, i, family))
			printf(" '%s:*'", family);
	printf("\n                set verb \"$verb $word\"\n"
	       "        end\n"
	       "    end\n"
	       "    echo $verb\n"
	       "end\n"
	       "function __varve_at\n"
	       "    test \"$(__varve_verb)\" = \"$argv\"\n"
	       "end\n\n");
}

static void print_fish_verb(const struct cli_verb *verb, const char *family, const char *own)
{
	char condition[160];

	printf("complete -c varve -f -n '__varve_at %s' -a %s -d ", family ? family : "", own);
	print_quoted(verb->summary);
	putchar('\n');
	(void)snprintf(condition, sizeof(condition), " -n '__varve_at %s'", verb->name);
	print_fish_options(condition, verb->options);
	if (takes_id(verb))
		printf("complete -c varve%s -f -a '(varve ls -q 2> /dev/null)'\n", condition);
	if (takes_lease(verb))
		printf("complete -c varve%s -f -a '(varve lease ls -q 2> /dev/null)'\n", condition);
}

static void print_fish(const struct cli_verb *const *verbs)
{
	char family[32];

	printf("# fish completion of varve: varve completion fish | source\n\n");
	print_fish_function(verbs);
	print_fish_options("", cli_options_global);
	for (size_t i = 0; verbs[i]; i++) {
		if (!strchr(verbs[i]->name, ' '))
			print_fish_verb(verbs[i], NULL, verbs[i]->name);
		if (!new_family(verbs, i, family))
			continue;
		printf("complete -c varve -f -n __varve_at -a %s\n", family);
		for (size_t k = i; verbs[k]; k++) {
			const char *own = cli_options_in_family(verbs[k], family);

			if (own)
				print_fish_verb(verbs[k], family, own);
		}
	}
}

int cli_completion_print(const char *shell, const struct cli_verb *const *verbs)
{
	static const struct {
		const char *name;
		void (*print)(const struct cli_verb *const *verbs);
	} shells[] = { { "bash", print_bash }, { "fish", print_fish }, { "zsh", print_zsh } };

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		if (strcmp(shells[i].name, shell) != 0)
			continue;
		shells[i].print(verbs);
		return 0;
	}
	return -EINVAL;
}
