/* SPDX-License-Identifier: Apache-2.0 */
/* Refs of a lease: get takes one, release drops one. */
#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

enum get_option { GET_MUTABLE, GET_NO_USE, GET_LEASE, GET_END };

static const struct cli_option get_options[] = {
	[GET_MUTABLE] = { 0, "mutable", NULL,
			  "take the ref that allows writing; there is only one" },
	[GET_NO_USE] = { 0, "no-use", NULL, "do not count the release of this ref as a use" },
	[GET_LEASE] = { 0, "lease", "NAME",
			"lease that takes the ref (default: " CLI_DEFAULT_LEASE ")" },
	[GET_END] = { 0, NULL, NULL, NULL },
};

static const struct cli_option release_options[] = {
	{ 0, "lease", "NAME", "lease that has the ref (default: " CLI_DEFAULT_LEASE ")" },
	{ 0, NULL, NULL, NULL },
};

static int run_get(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__IdReply *reply = NULL;
	Varve__V1__GetRequest request = VARVE__V1__GET_REQUEST__INIT;

	request.id = c->line.words[0];
	request.lease = (char *)CLI_DEFAULT_LEASE;
	for (size_t i = 0; i < c->line.given_count; i++) {
		switch ((enum get_option)c->line.given[i].option) {
		case GET_MUTABLE:
			request.mutable_ = true;
			break;
		case GET_NO_USE:
			request.no_use = true;
			break;
		case GET_LEASE:
			request.lease = (char *)c->line.given[i].value;
			break;
		case GET_END:
			break;
		}
	}
	reply = cli_call_one(c, "Get", &request.base, &varve__v1__id_reply__descriptor, e);
	if (!reply)
		return e->code;
	if (c->line.globals.json || c->line.globals.quiet)
		cli_print_id(c, reply->id);
	return 0;
}

static int run_release(struct cli *c, struct error *e)
{
	Varve__V1__LeaseIdRequest request = VARVE__V1__LEASE_ID_REQUEST__INIT;

	request.id = c->line.words[0];
	request.lease = (char *)CLI_DEFAULT_LEASE;
	for (size_t i = 0; i < c->line.given_count; i++)
		request.lease = (char *)c->line.given[i].value; /* its only option */
	return cli_call(c, "Release", &request.base, e);
}

const struct cli_verb command_get = {
	.name = "get",
	.arguments = "ID",
	.summary = "take a ref on a record, to keep it",
	.details = "Prints the id only with --json or -q.",
	.min_words = 1,
	.max_words = 1,
	.options = get_options,
	.run = run_get,
};

const struct cli_verb command_release = {
	.name = "release",
	.arguments = "ID",
	.summary = "drop a ref on a record",
	.min_words = 1,
	.max_words = 1,
	.options = release_options,
	.run = run_release,
};
