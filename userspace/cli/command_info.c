/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static const char *state_of(const Varve__V1__InfoReply *i)
{
	return *i->state ? i->state : "ready"; /* of an agent that does not say */
}

static void print_json(struct output *o, const Varve__V1__InfoReply *i)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "version", i->version);
	json_put_int(&w, "pid", i->pid);
	output_json_time(&w, "startedAt", i->started_ns);
	json_put_string(&w, "state", state_of(i));
	json_put_string(&w, "root", i->root);
	json_put_string(&w, "socket", i->socket);
	json_put_uint(&w, "records", i->records);
	json_put_uint(&w, "layers", i->layers);
	json_put_uint(&w, "mounts", i->mounts);
	json_put_uint(&w, "leases", i->leases);
	json_put_string(&w, "mountMethod", or_null(i->mount_method));
	json_put_string(&w, "backend", or_null(i->backend));
	json_put_string(&w, "degradedReason", or_null(i->degraded_reason));
	json_put_string(&w, "pinDirectory", or_null(i->pin_directory));
	json_put_uint(&w, "lost", i->lost);
	json_put_uint(&w, "folds", i->folds);
	json_put_uint(&w, "diskWalks", i->disk_walks);
	json_close_object(&w);
	output_json_line(o, &w);
}

static void print_fields(struct output *o, const Varve__V1__InfoReply *i)
{
	char time[2 * UNITS_TEXT_MAX];

	output_field(o, "Version", "%s", i->version);
	output_field(o, "Process", "%" PRId64, i->pid);
	output_field(o, "Started", "%s", output_time(o, i->started_ns, time));
	if (strcmp(state_of(i), "starting") == 0) {
		output_field(o, "Store", "%s", i->root);
		output_field(o, "Socket", "%s", i->socket);
		output_field(o, "State", "starting: %" PRIu64 " records have been read",
			     i->records);
		return;
	}
	output_field(o, "Store", "%s", i->root);
	output_field(o, "Socket", "%s", i->socket);
	output_field(o, "Records", "%" PRIu64, i->records);
	output_field(o, "Layers", "%" PRIu64, i->layers);
	output_field(o, "Mounts", "%" PRIu64, i->mounts);
	output_field(o, "Leases", "%" PRIu64, i->leases);
	output_field(o, "Mounts by", "%s", i->mount_method);
	output_field(o, "Accounting", "%s%s%s", i->backend, i->degraded_reason[0] ? ": " : "",
		     i->degraded_reason);
	output_field(o, "Pinned in", "%s",
		     i->pin_directory[0] ? i->pin_directory : output_unknown(o));
	output_field(o, "Lost accesses", "%" PRIu64, i->lost);
	output_field(o, "Folds", "%" PRIu64, i->folds);
	output_field(o, "Disk walks", "%" PRIu64, i->disk_walks);
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__InfoReply *reply = NULL;
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;

	reply = cli_call_one(c, "Info", &request.base, &varve__v1__info_reply__descriptor, e);
	if (!reply)
		return e->code;
	if (c->line.globals.json)
		print_json(&c->out, reply);
	else
		print_fields(&c->out, reply);
	return 0;
}

const struct cli_verb command_info = {
	.name = "info",
	.arguments = "",
	.summary = "show the version, settings and state of the agent",
	.run = run,
};
