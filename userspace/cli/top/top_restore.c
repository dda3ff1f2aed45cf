/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_restore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <curses.h>
#include <term.h>

#include "base/cleanup.h"

/* What a signal handler needs to restore the terminal. It cannot be passed to it, and ncurses has
 * one terminal at a time. */
static struct {
	volatile sig_atomic_t is_open;
	struct termios modes;
	char sequences[512]; /* that end what open() began */
	size_t length;
} restoring;

static const int fatal_signals[] = { SIGHUP,  SIGINT, SIGQUIT, SIGTERM, SIGABRT,
				     SIGSEGV, SIGBUS, SIGFPE,  SIGILL };

static int keep_character(int character)
{
	if (restoring.length < sizeof(restoring.sequences))
		restoring.sequences[restoring.length++] = (char)character;
	return character;
}

static void keep_sequence(const char *name)
{
	const char *sequence = tigetstr((char *)name);

	/* NOLINTNEXTLINE(performance-no-int-to-ptr): terminfo says so that there is none */
	if (sequence && sequence != (char *)-1)
		(void)tputs(sequence, 1, keep_character);
}

static void on_signal(int number)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };

	if (restoring.is_open) {
		restoring.is_open = 0;
		/* Nothing can be done about a terminal that is gone. */
		if (write(STDOUT_FILENO, restoring.sequences, restoring.length) < 0 ||
		    tcsetattr(STDIN_FILENO, TCSADRAIN, &restoring.modes) < 0)
			(void)0;
	}
	(void)sigaction(number, &usual, NULL);
	(void)raise(number);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
		struct sigaction before;

		/* What the caller has set to be ignored stays so (nohup). */
		if (sigaction(fatal_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(fatal_signals[i], &action, NULL);
	}
}

static int refuse_terminal(struct error *e)
{
	const char *term = getenv("TERM");

	return error_set(e, -EINVAL,
			 "terminal '%s' is not known or cannot move its cursor; set TERM, or use "
			 "varve top --batch",
			 term ? term : "");
}

int top_restore_prepare(struct error *e)
{
	const char *move;
	int status;

	if (tcgetattr(STDIN_FILENO, &restoring.modes) < 0)
		return error_set(e, -ENOTTY,
				 "standard input is not a terminal; use varve top --batch");
	if (setupterm(NULL, STDOUT_FILENO, &status) == ERR)
		return refuse_terminal(e);
	move = tigetstr((char *)"cup");
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	if (!move || move == (char *)-1)
		return refuse_terminal(e);
	restoring.length = 0;
	keep_sequence("sgr0");
	keep_sequence("cnorm");
	keep_sequence("rmkx");
	keep_sequence("rmcup");
	catch_signals();
	restoring.is_open = 1;
	return 0;
}

void top_restore_forget(void)
{
	restoring.is_open = 0;
}
