/* SPDX-License-Identifier: Apache-2.0 */
/* Exit statuses. Scripts rely on them, so a number never changes its meaning. */
#pragma once

enum cli_exit {
	CLI_EXIT_DONE = 0,
	CLI_EXIT_FAILED = 1,
	CLI_EXIT_USAGE = 2,
	CLI_EXIT_UNREACHABLE = 3,
	CLI_EXIT_NOT_FOUND = 4,
	CLI_EXIT_CONFLICT = 5, /* in use, pinned, or it exists already */
	CLI_EXIT_PERMISSION = 6,
	CLI_EXIT_GOAL_MISSED = 7,
	CLI_EXIT_PROBLEMS_FOUND = 8,
};

/* The status for the result of a call to the agent, 0 or a negative errno. -EINVAL from the agent
 * is a failure; only a mistake on the command line is wrong usage. */
enum cli_exit cli_exit_from_errno(int code);
