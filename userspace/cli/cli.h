/* SPDX-License-Identifier: Apache-2.0 */
/* What a verb works with: the line as it was read, the way out, and the agent. */
#pragma once

#include "base/error.h"
#include "cli/cli_exit.h"
#include "cli/cli_options.h"
#include "cli/output.h"
#include "transport/grpc_client.h"

#define CLI_DEFAULT_ADDRESS "unix:///run/varve/varved.sock"
#define CLI_READ_ONLY_ADDRESS \
	"unix:///run/varve/varved-ro.sock" /* for who may not use the former */
#define CLI_DEFAULT_LEASE "cli" /* never expires: what it holds stays until it is released */

struct cli {
	const struct cli_verb *const *verbs; /* all that there are, NULL at the end */
	struct cli_line line;
	struct output out;
	const char *address;
	struct grpc_client *client; /* connected by the first call */
	enum cli_exit exit; /* if not CLI_EXIT_DONE, what to end with whatever the errno says */
};

/* For a value that the verb refuses: -EINVAL, the verb's name, and CLI_EXIT_USAGE. */
int cli_usage(struct cli *c, struct error *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For output in the midst of long work: a failure ends it, and is no fault of the agent. */
int cli_flush(struct cli *c, struct error *e);
/* The one-line result of verbs that answer with an id: "ID" or {"id"}. */
void cli_print_id(struct cli *c, const char *id);
