/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

enum mount_option { MOUNT_READ_ONLY, MOUNT_LEASE, MOUNT_END };

static const struct cli_option mount_options[] = {
	[MOUNT_READ_ONLY] = { 0, "read-only", NULL,
			      "mount read-only even if the record is mutable" },
	[MOUNT_LEASE] = { 0, "lease", "NAME", "a lease that holds the record; its id map is used" },
	[MOUNT_END] = { 0, NULL, NULL, NULL },
};

static int run_mount(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__MountReply *reply = NULL;
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };
	Varve__V1__MountRequest request = VARVE__V1__MOUNT_REQUEST__INIT;

	request.id = c->line.words[0];
	for (size_t i = 0; i < c->line.given_count; i++) {
		if (c->line.given[i].option == MOUNT_READ_ONLY)
			request.read_only = true;
		else
			request.lease = (char *)c->line.given[i].value;
	}
	reply = cli_call_one(c, "Mount", &request.base, &varve__v1__mount_reply__descriptor, e);
	if (!reply)
		return e->code;
	if (!c->line.globals.json) {
		output_text(&c->out, c->line.globals.quiet ? reply->id : reply->mountpoint);
		return 0;
	}
	json_open_object(&w, NULL);
	json_put_string(&w, "id", reply->id);
	json_put_string(&w, "mountpoint", reply->mountpoint);
	json_close_object(&w);
	output_json_line(&c->out, &w);
	return 0;
}

static int run_umount(struct cli *c, struct error *e)
{
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;

	request.id = c->line.words[0];
	return cli_call(c, "Unmount", &request.base, e);
}

const struct cli_verb command_mount = {
	.name = "mount",
	.arguments = "ID",
	.summary = "mount a record and print the mount point",
	.details = "If the record is mounted already, prints its mount point again.",
	.min_words = 1,
	.max_words = 1,
	.options = mount_options,
	.run = run_mount,
};

const struct cli_verb command_umount = {
	.name = "umount",
	.arguments = "ID",
	.summary = "unmount a record",
	.min_words = 1,
	.max_words = 1,
	.run = run_umount,
};
