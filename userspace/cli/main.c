/* SPDX-License-Identifier: Apache-2.0 */
/* varve, the command line of varved: parses the line, runs the verb, reports its result. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/cli_help.h"
#include "cli/commands.h"
#include "cli/output_table.h"

static const struct cli_verb *const verbs[] = {
	&command_new,
	&command_mount,
	&command_umount,
	&command_commit,
	&command_get,
	&command_release,
	&command_finalize,
	&command_rm,
	&command_pin,
	&command_unpin,
	&command_label,
	&command_ls,
	&command_tree,
	&command_inspect,
	&command_du,
	&command_stats,
	&command_top,
	&command_files,
	&command_heat,
	&command_prune,
	&command_report,
	&command_owners,
	&command_images,
	&command_simulate,
	&command_explain,
	&command_events,
	&command_history,
	&command_regret,
	&command_forecast_show,
	&command_policy_show,
	&command_policy_check,
	&command_policy_advise,
	&command_lease_ls,
	&command_lease_create,
	&command_lease_rm,
	&command_lease_need,
	&command_import,
	&command_pull,
	&command_export,
	&command_push,
	&command_extract,
	&command_diff,
	&command_info,
	&command_doctor,
	&command_fsck,
	&command_backup,
	&command_completion,
	&command_version,
	NULL,
};

/* If standard output were closed, the agent's socket would get its number, and our output. */
static int open_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* Standard output is opened read-only, so that writing to it fails. */
		int flags = fd == STDERR_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd)
			return -EBADF;
	}
	return 0;
}

/* Without any locale set, UTF-8 is printed as UTF-8; only LC_ALL=C asks for plain ASCII. */
static void choose_locale(void)
{
	const char *all = getenv("LC_ALL");

	(void)setlocale(LC_CTYPE, ""); /* an unknown one leaves "C" */
	if ((!all || !*all) && strcmp(setlocale(LC_CTYPE, NULL), "C") == 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

static const char *choose_address(const struct cli_globals *g)
{
	const char *address = getenv("VARVE_ADDRESS");

	if (g->address)
		return g->address;
	return address && *address ? address : CLI_DEFAULT_ADDRESS;
}

static int check_globals(struct cli *c, struct error *e)
{
	const struct cli_globals *g = &c->line.globals;
	const struct cli_verb *verb = c->line.verb;

	if (g->json && g->quiet)
		return cli_usage(c, e, "--json and -q cannot be combined");
	if (!verb->columns && (g->sort || g->watch_ns))
		return cli_usage(c, e,
				 "--sort and --watch are for tables, and this command prints none");
	if (g->sort && (g->json || g->quiet))
		return cli_usage(c, e,
				 "--sort is for tables and cannot be combined with --json or -q");
	if (g->sort && output_table_check_sort(g->sort, verb->columns, e) < 0) {
		c->exit = CLI_EXIT_USAGE;
		return error_context(e, "%s", verb->name);
	}
	if (!g->columns)
		return 0;
	if (!verb->columns)
		return cli_usage(c, e, "-o is for tables, and this command prints none");
	if (g->json || g->quiet)
		return cli_usage(c, e, "-o is for tables and cannot be combined with --json or -q");
	if (output_table_check(g->columns, verb->columns, e) < 0) {
		c->exit = CLI_EXIT_USAGE;
		return error_context(e, "%s", verb->name);
	}
	return 0;
}

/* Runs the verb again and again, until it fails or the reader of a pipe leaves. */
static int watch(struct cli *c, struct error *e)
{
	int64_t every_ns = c->line.globals.watch_ns;
	const struct timespec pause = { .tv_sec = every_ns / NS_PER_S,
					.tv_nsec = every_ns % NS_PER_S };
	bool terminal = isatty(STDOUT_FILENO);
	int code = 0;

	while (code == 0) {
		if (terminal)
			(void)fputs("\033[H\033[2J", stdout);
		code = c->line.verb->run(c, e);
		if (code == 0 && !terminal)
			(void)fputs("\n", stdout); /* between two tables */
		if (code == 0)
			code = cli_flush(c, e);
		if (code == 0)
			(void)nanosleep(&pause, NULL); /* a signal ends it early, or the program */
	}
	return code;
}

static int run(struct cli *c, struct error *e)
{
	const struct cli_line *line = &c->line;
	int code;

	if (line->globals.version) {
		printf("varve %s\n", VARVE_VERSION);
		return 0;
	}
	if (line->globals.help) {
		if (line->verb)
			cli_help_verb(line->verb);
		else if (line->family)
			cli_help_family(verbs, line->family);
		else
			cli_help_overview(verbs);
		return 0;
	}
	code = check_globals(c, e);
	if (code < 0)
		return code;
	return line->globals.watch_ns ? watch(c, e) : line->verb->run(c, e);
}

/* Flushes output, also after a failure. The first failure is the one that is reported. */
static enum cli_exit end(struct cli *c, int code, struct error *e)
{
	enum cli_exit status = c->exit != CLI_EXIT_DONE ? c->exit : cli_exit_from_errno(code);
	bool reader_left = code == -EPIPE && ferror(stdout);
	struct error flushed = { 0 };

	if (output_finish(&c->out, &flushed) < 0 && code == 0) {
		e = &flushed;
		code = flushed.code;
		status = CLI_EXIT_FAILED;
		reader_left = code == -EPIPE;
	}
	if (code < 0 && !reader_left) /* the reader that closed the pipe knows about it */
		output_warn(&c->out, "%s", e->text);
	return status;
}

int main(int argc, char **argv)
{
	struct cli c = { .verbs = verbs };
	struct error e = { 0 };
	enum cli_exit status;
	int code;

	if (open_standard_files() < 0)
		return CLI_EXIT_FAILED;
	/* When the reader of a pipe goes away, EPIPE lets the call to the agent end properly. */
	(void)signal(SIGPIPE, SIG_IGN);
	choose_locale();

	code = cli_options_parse(argc, argv, verbs, &c.line, &e);
	c.out = output_from_options(&c.line.globals);
	c.address = choose_address(&c.line.globals);
	if (code == -EINVAL)
		c.exit = CLI_EXIT_USAGE;
	if (code == 0)
		code = run(&c, &e);
	status = end(&c, code, &e);

	grpc_client_free(c.client);
	cli_options_free(&c.line);
	return (int)status;
}
