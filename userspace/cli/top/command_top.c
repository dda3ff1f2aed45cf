/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"
#include "cli/commands.h"
#include "cli/top/top_feed.h"
#include "cli/top/top_json.h"
#include "cli/top/top_plan.h"
#include "cli/top/top_screen.h"
#include "cli/top/top_terminal.h"

#define BATCH_ROWS 20
#define ROWS_MAX 1000
#define INTERVAL_MIN_NS (NS_PER_S / 10)

enum option {
	OPTION_BATCH,
	OPTION_COUNT,
	OPTION_DELAY,
	OPTION_VIEW,
	OPTION_SORT,
	OPTION_REVERSE,
	OPTION_FILTER,
	OPTION_ROWS,
};

static const struct cli_option options[] = {
	[OPTION_BATCH] = { 'b', "batch", NULL, "print plain lines instead of using the terminal" },
	[OPTION_COUNT] = { 'n', "iterations", "N", "end after so many (batch: endless)" },
	[OPTION_DELAY] = { 'd', "delay", "SECS", "time between two of them (1s)" },
	[OPTION_VIEW] = { 0, "view", "VIEW", "records, layers, files, who, owners or eviction" },
	[OPTION_SORT] = { 0, "sort", "KEY", "rate, opens, size, read, last, uses or created" },
	[OPTION_REVERSE] = { 'r', "reverse", NULL, "smallest first" },
	[OPTION_FILTER] = { 0, "filter", "FILTER", "only matching records" },
	[OPTION_ROWS] = { 0, "rows", "N", "with --batch: how many rows (20)" },
	{ 0, NULL, NULL, NULL },
};

struct top {
	struct cli *cli;
	struct top_state state;
	struct top_feed feed;
	bool batch;
	long iterations; /* 0: endless */
};

/* ---- options ---- */

static int find_name(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

static int read_number(struct cli *c, const char *option, const char *text, long most, long *ret,
		       struct error *e)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || *end || number < 1 || number > most)
		return cli_usage(c, e, "invalid --%s '%s' (a number from 1 to %ld)", option, text,
				 most);
	*ret = number;
	return 0;
}

static int read_name(struct cli *c, const struct cli_given *given, struct top *t, struct error *e)
{
	bool view = given->option == OPTION_VIEW;
	int found = view ? find_name(top_state_views, TOP_VIEW_COUNT, given->value)
			 : find_name(top_state_sorts, TOP_SORTS, given->value);

	if (found < 0)
		return cli_usage(c, e, "invalid --%s '%s' (%s)", options[given->option].name,
				 given->value, options[given->option].help);
	if (view)
		t->state.view = (enum top_view)found;
	else
		t->state.sort = (size_t)found;
	return 0;
}

static int read_option(struct cli *c, const struct cli_given *given, struct top *t, struct error *e)
{
	long rows = 0;
	int code = 0;

	switch ((enum option)given->option) {
	case OPTION_BATCH:
		t->batch = true;
		break;
	case OPTION_COUNT:
		return read_number(c, "iterations", given->value, LONG_MAX, &t->iterations, e);
	case OPTION_DELAY:
		if (units_parse_duration(given->value, &t->feed.interval_ns) < 0 ||
		    t->feed.interval_ns < INTERVAL_MIN_NS)
			return cli_usage(c, e, "invalid --delay '%s' (0.1s or more: 1, 500ms, 5s)",
					 given->value);
		break;
	case OPTION_VIEW:
	case OPTION_SORT:
		return read_name(c, given, t, e);
	case OPTION_REVERSE:
		t->state.reverse = true;
		break;
	case OPTION_FILTER:
		if (strlen(given->value) >= sizeof(t->state.filter))
			return cli_usage(c, e, "the filter is longer than %zu bytes",
					 sizeof(t->state.filter) - 1);
		(void)snprintf(t->state.filter, sizeof(t->state.filter), "%s", given->value);
		break;
	case OPTION_ROWS:
		code = read_number(c, "rows", given->value, ROWS_MAX, &rows, e);
		t->feed.rows = (size_t)rows;
	}
	return code;
}

static int read_options(struct cli *c, struct top *t, struct error *e)
{
	int code = 0;

	for (size_t i = 0; i < c->line.given_count && code == 0; i++)
		code = read_option(c, &c->line.given[i], t, e);
	if (code < 0)
		return code;
	if (c->line.word_count > 0)
		(void)snprintf(t->state.files_id, sizeof(t->state.files_id), "%.25s",
			       c->line.words[0]);
	if (t->state.view == TOP_FILES && !t->state.files_id[0])
		return cli_usage(c, e, "--view files needs the ID of a record");
	/* Output that goes elsewhere is for a script. */
	if (!t->batch && !isatty(STDOUT_FILENO)) {
		t->batch = true;
		t->iterations = t->iterations ? t->iterations : 1;
	}
	if (c->line.globals.json && !t->batch)
		return cli_usage(c, e, "--json needs --batch");
	return 0;
}

/* ---- batch ---- */

static int print_screen(struct top *t, struct error *e)
{
	struct cli *c = t->cli;
	cleanup(top_screen_free) struct top_screen screen = {
		.frame = { .utf8 = c->out.utf8, .batch = true, .now_ns = clock_wall_ns() },
	};

	top_screen_draw(&screen, &t->state);
	for (size_t i = 0; i < screen.count; i++)
		output_text(&c->out, screen.lines[i].text);
	c->out.failed |= screen.failed;
	output_text(&c->out, "");
	return cli_flush(c, e);
}

static int print_json(struct top *t, struct error *e)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	top_json_write(&w, &t->state);
	output_json_line(&t->cli->out, &w);
	return cli_flush(t->cli, e);
}

static void sleep_until(int64_t at_ns)
{
	const struct timespec at = { .tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int run_batch(struct top *t, struct error *e)
{
	int64_t due_ns = clock_monotonic_ns();
	struct cli *c = t->cli;

	for (long i = 0; t->iterations == 0 || i < t->iterations; i++) {
		int code;

		if (i > 0)
			sleep_until(due_ns);
		due_ns += t->feed.interval_ns;
		code = top_feed_tick(&t->feed, &t->state, i == 0, e);
		if (code == 0)
			code = c->line.globals.json ? print_json(t, e) : print_screen(t, e);
		if (code < 0)
			return code;
		t->state.notice[0] = '\0';
	}
	if (t->state.away_ns) {
		c->exit = CLI_EXIT_UNREACHABLE;
		return error_set(e, -ECONNREFUSED, "%s", t->state.away_why);
	}
	return 0;
}

/* ---- on a terminal ---- */

static int draw(struct top *t, struct error *e)
{
	cleanup(top_screen_free) struct top_screen screen = {
		.frame = { .utf8 = t->cli->out.utf8, .now_ns = clock_wall_ns() },
	};

	top_terminal_size(&screen.frame.rows, &screen.frame.columns);
	t->feed.rows = screen.frame.rows < ROWS_MAX ? screen.frame.rows : ROWS_MAX;
	top_screen_draw(&screen, &t->state);
	if (screen.failed)
		return error_set(e, -ENOMEM, "out of memory");
	top_terminal_draw(&screen);
	return 0;
}

/* A filter that the agent refuses is shown with the reason, and given up. */
static int refresh(struct top *t, bool all, struct error *e)
{
	struct top_state *s = &t->state;
	int code = top_feed_tick(&t->feed, s, all, e);

	if (code == 0)
		return 0;
	top_feed_refuse(&t->feed, s, code, e);
	if (code == -EINVAL)
		s->filter[0] = '\0';
	return code == -ENOMEM ? code : 0;
}

/* 0, or a negative errno; -ECANCELED: the user wants to end. */
static int follow(struct top *t, enum top_command command, struct error *e)
{
	cleanup(strbuf_free) struct strbuf help = { 0 };
	struct top_state *s = &t->state;

	switch (command) {
	case TOP_QUIT:
		return -ECANCELED;
	case TOP_REFRESH:
		return refresh(t, true, e);
	case TOP_DETAIL:
		top_feed_detail(&t->feed, s);
		break;
	case TOP_EXPLAIN:
		top_feed_explain(&t->feed, s);
		break;
	case TOP_PIN:
		top_feed_pin(&t->feed, s);
		return refresh(t, false, e);
	case TOP_PLAN:
		top_plan_make(&t->feed, s);
		break;
	case TOP_HELP:
		top_state_help(&help);
		top_state_show_page(s, &help);
		break;
	case TOP_REDRAW:
	case TOP_NOTHING:
		break;
	}
	return 0;
}

static int run_loop(struct top *t, struct error *e)
{
	int64_t due_ns = clock_monotonic_ns() + t->feed.interval_ns;
	long left = t->iterations;
	int code = draw(t, e);

	while (code == 0) {
		int64_t wait_ns = due_ns - clock_monotonic_ns();
		int key = wait_ns > 0 ? top_terminal_key(wait_ns) : TOP_TERMINAL_NO_KEY;

		if (key == TOP_TERMINAL_GONE)
			return error_set(e, -EIO, "the terminal is gone");
		if (key == TOP_TERMINAL_RESIZED)
			code = refresh(t, true, e);
		else if (key != TOP_TERMINAL_NO_KEY)
			code = follow(t, top_state_key(&t->state, key), e);
		if (code == 0 && clock_monotonic_ns() >= due_ns) {
			due_ns = clock_monotonic_ns() + t->feed.interval_ns;
			if (left > 0 && --left == 0)
				return 0;
			if (!t->state.paused)
				code = refresh(t, false, e);
		}
		if (code == 0)
			code = draw(t, e);
	}
	return code == -ECANCELED ? 0 : code;
}

static int run_terminal(struct top *t, struct error *e)
{
	int code;

	/* Before the terminal is touched: an agent that cannot be reached is an error as usual. */
	t->feed.rows = 100;
	code = top_feed_tick(&t->feed, &t->state, true, e);
	if (code < 0)
		return code;
	code = top_terminal_open(t->cli->out.color, e);
	if (code < 0)
		return code;
	code = run_loop(t, e);
	top_terminal_close();
	return code;
}

static int run(struct cli *c, struct error *e)
{
	struct top t = { .cli = c,
			 .feed = { .cli = c, .interval_ns = NS_PER_S, .rows = BATCH_ROWS },
			 .state = { .program_share = -1 } };
	int code = read_options(c, &t, e);

	if (code == 0)
		code = t.batch ? run_batch(&t, e) : run_terminal(&t, e);
	top_state_free(&t.state);
	return code;
}

const struct cli_verb command_top = {
	.name = "top",
	.arguments = "[ID]",
	.summary = "watch what is read, as it happens",
	.details = "Press ? for the keys. An ID is for --view files.",
	.max_words = 1,
	.options = options,
	.run = run,
};
