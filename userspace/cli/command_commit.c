/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static const struct cli_option commit_options[] = {
	{ 0, "lease", "NAME", "lease that holds both records (default: " CLI_DEFAULT_LEASE ")" },
	{ 0, NULL, NULL, NULL },
};

static int run_commit(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__IdReply *reply = NULL;
	Varve__V1__LeaseIdRequest request = VARVE__V1__LEASE_ID_REQUEST__INIT;

	request.id = c->line.words[0];
	request.lease = (char *)CLI_DEFAULT_LEASE;
	for (size_t i = 0; i < c->line.given_count; i++)
		request.lease = (char *)c->line.given[i].value; /* its only option */
	reply = cli_call_one(c, "Commit", &request.base, &varve__v1__id_reply__descriptor, e);
	if (!reply)
		return e->code;
	cli_print_id(c, reply->id);
	return 0;
}

static int run_finalize(struct cli *c, struct error *e)
{
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;

	request.id = c->line.words[0];
	return cli_call(c, "Finalize", &request.base, e);
}

const struct cli_verb command_commit = {
	.name = "commit",
	.arguments = "ID",
	.summary = "create an immutable record from a mutable one",
	.details =
		"Prints the id of the new record. The lease now holds the new record instead of\n"
		"the mutable one.",
	.min_words = 1,
	.max_words = 1,
	.options = commit_options,
	.run = run_commit,
};

const struct cli_verb command_finalize = {
	.name = "finalize",
	.arguments = "ID",
	.summary = "make a committed record the only owner of its data",
	.details = "The mutable record that it was committed from is removed.",
	.min_words = 1,
	.max_words = 1,
	.run = run_finalize,
};
