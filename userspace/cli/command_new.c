/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/cli_id_map.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

enum option {
	OPTION_PARENT,
	OPTION_DESCRIPTION,
	OPTION_TYPE,
	OPTION_RETAIN,
	OPTION_LABEL,
	OPTION_LEASE,
	OPTION_UID_MAP,
	OPTION_GID_MAP,
	OPTION_END,
};

static const struct cli_option options[] = {
	[OPTION_PARENT] = { 0, "parent", "ID", "the record to start from" },
	[OPTION_DESCRIPTION] = { 0, "description", "TEXT", "description for people" },
	[OPTION_TYPE] = { 0, "type", "TYPE", "record type (default: regular)" },
	[OPTION_RETAIN] = { 0, "retain", NULL, "keep the record when no lease holds it any more" },
	[OPTION_LABEL] = { 0, "label", "KEY=VALUE", "set a label; may be repeated" },
	[OPTION_LEASE] = { 0, "lease", "NAME",
			   "lease that holds the record (default: " CLI_DEFAULT_LEASE ")" },
	[OPTION_UID_MAP] = { 0, "uid-map", CLI_ID_MAP_ARGUMENT, CLI_ID_MAP_HELP("user") },
	[OPTION_GID_MAP] = { 0, "gid-map", CLI_ID_MAP_ARGUMENT, CLI_ID_MAP_HELP("group") },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

struct labels {
	Varve__V1__NewRequest__LabelsEntry *entries;
	Varve__V1__NewRequest__LabelsEntry **pointers; /* as the request needs them */
	size_t count;
};

static void labels_free(struct labels *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].key); /* key and value are one allocation */
	free(l->entries);
	free(l->pointers);
}

DEFINE_CLEANUP_VALUE(struct labels, labels_free)

static int labels_add(struct cli *c, struct labels *l, const char *text, struct error *e)
{
	size_t key_length = strcspn(text, "=");
	char *copy;

	if (key_length == 0 || text[key_length] == '\0')
		return cli_usage(c, e, "invalid label '%s' (KEY=VALUE)", text);
	copy = strdup(text);
	if (!copy)
		return error_set(e, -ENOMEM, "out of memory for the labels");
	copy[key_length] = '\0';
	l->pointers[l->count] = &l->entries[l->count];
	varve__v1__new_request__labels_entry__init(&l->entries[l->count]);
	l->entries[l->count].key = copy;
	l->entries[l->count].value = copy + key_length + 1;
	l->count++;
	return 0;
}

static int read_options(struct cli *c, Varve__V1__NewRequest *request, struct labels *labels,
			struct cli_id_map *map, struct error *e)
{
	labels->entries = calloc(c->line.given_count + 1, sizeof(*labels->entries));
	labels->pointers = calloc(c->line.given_count + 1, sizeof(*labels->pointers));
	if (!labels->entries || !labels->pointers)
		return error_set(e, -ENOMEM, "out of memory for the labels");

	for (size_t i = 0; i < c->line.given_count; i++) {
		char *value = (char *)c->line.given[i].value;
		int code;

		switch ((enum option)c->line.given[i].option) {
		case OPTION_PARENT:
			request->parent = value;
			break;
		case OPTION_DESCRIPTION:
			request->description = value;
			break;
		case OPTION_TYPE:
			request->record_type = value;
			break;
		case OPTION_RETAIN:
			request->retain = true;
			break;
		case OPTION_LABEL:
			code = labels_add(c, labels, value, e);
			if (code < 0)
				return code;
			break;
		case OPTION_LEASE:
			request->lease = value;
			break;
		case OPTION_UID_MAP:
			cli_id_map_add(&map->uids, value);
			break;
		case OPTION_GID_MAP:
			cli_id_map_add(&map->gids, value);
			break;
		case OPTION_END:
			break;
		}
	}
	request->labels = labels->pointers;
	request->n_labels = labels->count;
	return cli_id_map_finish(c, map, &request->id_map, e);
}

static int run(struct cli *c, struct error *e)
{
	cleanup(labels_free) struct labels labels = { 0 };
	cleanup(cli_id_map_free) struct cli_id_map map = { 0 };
	cleanup(free_reply) Varve__V1__MountReply *reply = NULL;
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };
	Varve__V1__NewRequest request = VARVE__V1__NEW_REQUEST__INIT;
	int code;

	request.lease = (char *)CLI_DEFAULT_LEASE;
	code = read_options(c, &request, &labels, &map, e);
	if (code < 0)
		return code;
	reply = cli_call_one(c, "New", &request.base, &varve__v1__mount_reply__descriptor, e);
	if (!reply)
		return e->code;
	if (!c->line.globals.json) {
		output_text(&c->out, reply->id);
		return 0;
	}
	json_open_object(&w, NULL);
	json_put_string(&w, "id", reply->id);
	json_put_string(&w, "mountpoint", reply->mountpoint);
	json_close_object(&w);
	output_json_line(&c->out, &w);
	return 0;
}

const struct cli_verb command_new = {
	.name = "new",
	.arguments = "",
	.summary = "create a mutable record and mount it",
	.details =
		"Prints its id. The lease holds it until 'varve release'. Without --uid-map and\n"
		"--gid-map the id map of the lease is used, if it has one.",
	.options = options,
	.run = run,
};
