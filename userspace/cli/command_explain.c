/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/cli_records.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static void print_json(struct output *o, const Varve__V1__ExplainReply *x)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "id", x->id);
	json_put_bool(&w, "kept", x->kept);
	json_put_string(&w, "why", x->why);
	json_put_string(&w, "policy", x->policy[0] ? x->policy : NULL);
	if (x->kept) {
		json_put_null(&w, "place");
		json_put_null(&w, "places");
		json_put_null(&w, "score");
	} else {
		json_put_uint(&w, "place", x->place);
		json_put_uint(&w, "places", x->places);
		json_put_double(&w, "score", x->score);
	}
	cli_records_owners_json(&w, x->owners, x->n_owners);
	json_close_object(&w);
	output_json_line(o, &w);
}

/* Each argument is quoted for a shell only where it has to be. */
static void append_way_out(struct strbuf *text, const Varve__V1__OwnerName *name)
{
	const char *quote = strpbrk(name->id, " \t*?[]$&;|<>()\"\\`#~") ? "'" : "";

	if (name->kept[0])
		strbuf_appendf(text, ", which is not asked to remove it: %s", name->kept);
	else
		strbuf_appendf(text,
			       ", which can be asked to remove it: varve prune --owner %s --filter "
			       "%sid==%s%s",
			       name->owner, quote, name->id, quote);
}

/* A sentence: what needs the record, and what would free it. */
static void print_owner(struct output *o, const Varve__V1__OwnerName *name)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };

	if (strcmp(name->kind, "container") == 0) {
		strbuf_appendf(&text, "the container %.12s of %s needs it", name->id, name->owner);
		if (name->description[0])
			strbuf_appendf(&text, " (image %s)", name->description);
	} else if (strcmp(name->kind, "image") == 0) {
		strbuf_appendf(&text, "it is a layer of the image %s of %s", name->id, name->owner);
		append_way_out(&text, name);
	} else {
		strbuf_appendf(&text, "it is the record %s of %s", name->id, name->owner);
		if (name->description[0])
			strbuf_appendf(&text, " (%s)", name->description);
		append_way_out(&text, name);
	}
	if (!strbuf_failed(&text))
		output_text(o, text.text);
}

static int run(struct cli *c, struct error *e)
{
	cleanup(free_reply) Varve__V1__ExplainReply *x = NULL;
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;

	request.id = c->line.words[0];
	x = cli_call_one(c, "Explain", &request.base, &varve__v1__explain_reply__descriptor, e);
	if (!x)
		return e->code;
	if (c->line.globals.json) {
		print_json(&c->out, x);
		return 0;
	}
	output_text(&c->out, x->why);
	if (x->policy[0])
		output_text(&c->out, x->policy);
	for (size_t i = 0; i < x->n_owners; i++)
		print_owner(&c->out, x->owners[i]);
	return 0;
}

const struct cli_verb command_explain = {
	.name = "explain",
	.arguments = "ID",
	.summary = "show why a record is kept, or when it would be evicted",
	.min_words = 1,
	.max_words = 1,
	.run = run,
};
