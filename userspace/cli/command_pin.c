/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static int pin(struct cli *c, bool pinned, struct error *e)
{
	cleanup(free_reply) Varve__V1__IdReply *reply = NULL;
	Varve__V1__PinRequest request = VARVE__V1__PIN_REQUEST__INIT;

	request.id = c->line.words[0];
	request.pinned = pinned;
	reply = cli_call_one(c, "Pin", &request.base, &varve__v1__id_reply__descriptor, e);
	if (!reply)
		return e->code;
	if (c->line.globals.json || c->line.globals.quiet)
		cli_print_id(c, reply->id);
	return 0;
}

static int run_pin(struct cli *c, struct error *e)
{
	return pin(c, true, e);
}

static int run_unpin(struct cli *c, struct error *e)
{
	return pin(c, false, e);
}

const struct cli_verb command_pin = {
	.name = "pin",
	.arguments = "ID",
	.summary = "protect a record from prune and rm",
	.details = "Prints the id only with --json or -q.",
	.min_words = 1,
	.max_words = 1,
	.run = run_pin,
};

const struct cli_verb command_unpin = {
	.name = "unpin",
	.arguments = "ID",
	.summary = "undo pin",
	.details = "Prints the id only with --json or -q.",
	.min_words = 1,
	.max_words = 1,
	.run = run_unpin,
};
