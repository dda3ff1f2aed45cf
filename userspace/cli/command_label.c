/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static const struct cli_option options[] = {
	{ 0, "remove", "KEY", "remove this label; may be repeated" },
	{ 0, NULL, NULL, NULL },
};

/* Splits the words at their first '='. */
static int read_labels(struct cli *c, Varve__V1__Label *labels, Varve__V1__Label **pointers,
		       struct error *e)
{
	for (size_t i = 1; i < c->line.word_count; i++) {
		char *text = c->line.words[i];
		char *value = strchr(text, '=');

		if (!value || value == text)
			return cli_usage(c, e, "invalid label '%s' (KEY=VALUE)", text);
		*value = '\0';
		varve__v1__label__init(&labels[i - 1]);
		labels[i - 1].key = text;
		labels[i - 1].value = value + 1;
		pointers[i - 1] = &labels[i - 1];
	}
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_ptr) Varve__V1__Label *labels = calloc(c->line.word_count, sizeof(*labels));
	cleanup(free_ptr)
		Varve__V1__Label **pointers = calloc(c->line.word_count, sizeof(*pointers));
	cleanup(free_ptr) char **removed = calloc(c->line.given_count + 1, sizeof(*removed));
	cleanup(free_reply) Varve__V1__IdReply *reply = NULL;
	Varve__V1__LabelRequest request = VARVE__V1__LABEL_REQUEST__INIT;
	int code;

	if (!labels || !pointers || !removed)
		return error_set(e, -ENOMEM, "out of memory for the labels");
	for (size_t i = 0; i < c->line.given_count; i++)
		removed[i] = (char *)c->line.given[i].value; /* its only option */
	code = read_labels(c, labels, pointers, e);
	if (code < 0)
		return code;
	if (c->line.word_count == 1 && c->line.given_count == 0)
		return cli_usage(c, e, "needs KEY=VALUE or --remove KEY");

	request.id = c->line.words[0];
	request.set = pointers;
	request.n_set = c->line.word_count - 1;
	request.removed = removed;
	request.n_removed = c->line.given_count;
	reply = cli_call_one(c, "Label", &request.base, &varve__v1__id_reply__descriptor, e);
	if (!reply)
		return e->code;
	if (c->line.globals.json || c->line.globals.quiet)
		cli_print_id(c, reply->id);
	return 0;
}

const struct cli_verb command_label = {
	.name = "label",
	.arguments = "ID [KEY=VALUE]...",
	.summary = "set or remove labels of a record",
	.details =
		"Changes nothing when one of the labels is refused. Prints the id only with --json\n"
		"or -q. Keys that start with 'varve.' are reserved.",
	.min_words = 1,
	.max_words = CLI_ANY_NUMBER,
	.options = options,
	.run = run,
};
