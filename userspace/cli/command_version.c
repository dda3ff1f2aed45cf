/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/version.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static int run(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__InfoReply *reply = NULL;
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;

	reply = cli_call_one(c, "Info", &request.base, &varve__v1__info_reply__descriptor, e);
	c->exit = CLI_EXIT_DONE; /* without an agent, print the version of varve alone */
	if (c->line.globals.json) {
		json_open_object(&w, NULL);
		json_put_string(&w, "version", VARVE_VERSION);
		json_put_string(&w, "agent", reply ? reply->version : NULL);
		json_close_object(&w);
		output_json_line(&c->out, &w);
		return 0;
	}
	output_field(&c->out, "varve", "%s", VARVE_VERSION);
	output_field(&c->out, "varved", "%s%s",
		     reply ? reply->version : "unknown: ", reply ? "" : e->text);
	return 0;
}

const struct cli_verb command_version = {
	.name = "version",
	.arguments = "",
	.summary = "print the versions of varve and of the agent",
	.run = run,
};
