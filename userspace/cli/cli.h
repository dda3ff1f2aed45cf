/* SPDX-License-Identifier: Apache-2.0 */
/* What a verb works with: the command line, standard output and the connection to the agent. */
#pragma once

#include "base/error.h"
#include "cli/cli_exit.h"
#include "cli/cli_options.h"
#include "cli/output.h"
#include "transport/grpc_client.h"

#define CLI_DEFAULT_ADDRESS "unix:///run/varve/varved.sock"
#define CLI_READ_ONLY_ADDRESS \
	"unix:///run/varve/varved-ro.sock" /* for callers who may not use the former */
#define CLI_DEFAULT_LEASE "cli" /* never expires; it holds records until they are released */

struct cli {
	const struct cli_verb *const *verbs; /* all verbs, NULL at the end */
	struct cli_line line;
	struct output out;
	const char *address;
	struct grpc_client *client; /* connected by the first call */
	enum cli_exit exit; /* unless CLI_EXIT_DONE, overrides the status that the errno gives */
};

/* Refuses a value of the command line: -EINVAL, an error that names the verb, and CLI_EXIT_USAGE.
 */
int cli_usage(struct cli *c, struct error *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Flushes output during long work. A failure ends the work; it is not blamed on the agent. */
int cli_flush(struct cli *c, struct error *e);
/* Prints the result of a verb that answers with an id: the id, or with --json an object. */
void cli_print_id(struct cli *c, const char *id);
