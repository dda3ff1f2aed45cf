/* SPDX-License-Identifier: Apache-2.0 */
/* The images of containerd and of Varve: what they take, and when their files were really read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum option { OPTION_READ_SHARE, OPTION_UNREAD_FOR, OPTION_DRY_RUN, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_READ_SHARE] = { 0, "read-share", NULL,
				"find out what share of the bytes was ever read" },
	[OPTION_UNREAD_FOR] = { 0, "unread-for", "TIME",
				"prune: images whose files were not read for this long" },
	[OPTION_DRY_RUN] = { 0, "dry-run", NULL, "prune: only show what would be removed" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum column {
	COLUMN_NAMESPACE,
	COLUMN_TAG,
	COLUMN_DIGEST,
	COLUMN_RECORD,
	COLUMN_LAYERS,
	COLUMN_SIZE,
	COLUMN_SHARED,
	COLUMN_UNIQUE,
	COLUMN_CONTAINERS,
	COLUMN_STATE,
	COLUMN_PULLED,
	COLUMN_LAST_CONTAINER,
	COLUMN_LAST_READ,
	COLUMN_READ_SHARE,
	COLUMN_REFUSED,
	COLUMN_END,
};

static const struct output_column columns[] = {
	[COLUMN_NAMESPACE] = { "NAMESPACE", "of containerd, or varve", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_TAG] = { "TAG", "first name of the image", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_DIGEST] = { "DIGEST", "of its manifest or index", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_RECORD] = { "RECORD", "id of the record at its top", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_LAYERS] = { "LAYERS", "number of its layers", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_SIZE] = { "SIZE", "of its layers on disk", OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_SHARED] = { "SHARED", "of this, layers that other images have, too",
			    OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_UNIQUE] = { "UNIQUE", "of this, layers of this image alone", OUTPUT_TABLE_RIGHT,
			    0 },
	[COLUMN_CONTAINERS] = { "CONTAINERS", "number of containers that use it",
				OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_STATE] = { "STATE", "whether it is used, pinned or held", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_PULLED] = { "PULLED", "when it was pulled last", OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_LAST_CONTAINER] = { "LAST CONTAINER",
				    "when a container of it was made or removed last",
				    OUTPUT_TABLE_LEFT, 0 },
	[COLUMN_LAST_READ] = { "LAST READ", "when a file of it was read last", OUTPUT_TABLE_LEFT,
			       0 },
	[COLUMN_READ_SHARE] = { "EVER READ", "share of its bytes, with --read-share",
				OUTPUT_TABLE_RIGHT, 0 },
	[COLUMN_REFUSED] = { "REFUSED", "why it was not removed", OUTPUT_TABLE_CUT, 0 },
	[COLUMN_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static const char *state_of(const Varve__V1__Image *image)
{
	if (image->pinned)
		return "pinned";
	if (image->n_containers > 0)
		return "in use";
	return image->held ? "held" : "unused";
}

static bool has_share(const Varve__V1__Image *image)
{
	return image->read_bytes >= 0 && image->file_bytes > 0;
}

static void write_texts(struct json_writer *w, const char *key, char **texts, size_t count)
{
	json_open_array(w, key);
	for (size_t i = 0; i < count; i++)
		json_put_string(w, NULL, texts[i]);
	json_close_array(w);
}

static void show_json(struct output *out, const Varve__V1__Image *image, const char *refused)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "namespace", *image->namespace_ ? image->namespace_ : NULL);
	write_texts(&w, "tags", image->tags, image->n_tags);
	json_put_string(&w, "digest", *image->digest ? image->digest : NULL);
	json_put_string(&w, "record", image->record);
	json_put_uint(&w, "layers", image->layers);
	json_put_int(&w, "size", image->size);
	json_put_int(&w, "sharedSize", image->shared_size);
	json_put_int(&w, "uniqueSize", image->size - image->shared_size);
	write_texts(&w, "containers", image->containers, image->n_containers);
	json_put_bool(&w, "inUse", image->n_containers > 0);
	json_put_bool(&w, "pinned", image->pinned);
	json_put_bool(&w, "held", image->held);
	output_json_time(&w, "pulledAt", image->pulled_ns);
	output_json_time(&w, "lastContainerAt", image->last_container_ns);
	output_json_time(&w, "lastReadAt", image->last_read_ns);
	json_put_int(&w, "fileBytes", image->file_bytes);
	output_json_size(&w, "readFileBytes", image->read_bytes);
	if (refused)
		json_put_string(&w, "refused", *refused ? refused : NULL);
	json_close_object(&w);
	output_json_line(out, &w);
}

static void show_row(struct output_table *t, const Varve__V1__Image *image, const char *refused)
{
	char share[16] = "";

	if (has_share(image))
		(void)snprintf(share, sizeof(share), "%.0f %%",
			       100.0 * (double)image->read_bytes / (double)image->file_bytes);
	output_table_row(t, NULL);
	output_table_text(t, COLUMN_NAMESPACE, *image->namespace_ ? image->namespace_ : "varve");
	output_table_text(t, COLUMN_TAG, image->n_tags > 0 ? image->tags[0] : NULL);
	output_table_text(t, COLUMN_DIGEST, *image->digest ? image->digest : NULL);
	output_table_id(t, COLUMN_RECORD, image->record, "");
	output_table_count(t, COLUMN_LAYERS, image->layers, true);
	output_table_size(t, COLUMN_SIZE, image->size, "");
	output_table_size(t, COLUMN_SHARED, image->shared_size, "");
	output_table_size(t, COLUMN_UNIQUE, image->size - image->shared_size, "");
	output_table_count(t, COLUMN_CONTAINERS, image->n_containers, *image->namespace_);
	output_table_text(t, COLUMN_STATE, state_of(image));
	output_table_age(t, COLUMN_PULLED, image->pulled_ns, image->pulled_ns != 0);
	output_table_age(t, COLUMN_LAST_CONTAINER, image->last_container_ns,
			 image->last_container_ns != 0);
	output_table_age(t, COLUMN_LAST_READ, image->last_read_ns, true);
	output_table_text(t, COLUMN_READ_SHARE, *share ? share : NULL);
	output_table_text(t, COLUMN_REFUSED, refused ? refused : "");
}

/* `refused`: NULL in a list. */
static void show(struct cli *c, struct output_table *t, const Varve__V1__Image *image,
		 const char *refused)
{
	if (c->line.globals.json)
		show_json(&c->out, image, refused);
	else if (c->line.globals.quiet)
		output_text(&c->out, image->n_tags > 0 ? image->tags[0] : image->record);
	else
		show_row(t, image, refused);
}

static int list(struct cli *c, const Varve__V1__ImagesRequest *request, struct output_table *t,
		struct error *e)
{
	cleanup(free_reply) Varve__V1__ImagesReply *reply =
		cli_call_one(c, "Images", &request->base, &varve__v1__images_reply__descriptor, e);

	if (!reply)
		return e->code;
	for (size_t i = 0; i < reply->n_images; i++)
		show(c, t, reply->images[i], NULL);
	if (*reply->problem)
		output_warn(&c->out, "the images of containerd are missing: %s", reply->problem);
	return 0;
}

struct pruning {
	struct cli *c;
	struct output_table *table;
};

static int show_pruned(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__PrunedImage *pruned = (const Varve__V1__PrunedImage *)reply;
	const struct pruning *p = user;

	(void)e;
	if (pruned->image)
		show(p->c, p->table, pruned->image, pruned->refused);
	return 0;
}

struct given {
	Varve__V1__ImagesRequest list;
	Varve__V1__PruneImagesRequest prune;
	bool prunes;
};

static int read_option(struct cli *c, const struct cli_given *option, struct given *g,
		       struct error *e)
{
	if (option->option == OPTION_READ_SHARE)
		g->list.with_files = true;
	else if (option->option == OPTION_DRY_RUN)
		g->prune.dry_run = true;
	else if (units_parse_duration(option->value, &g->prune.unread_for_ns) < 0 ||
		 g->prune.unread_for_ns <= 0)
		return cli_usage(c, e, "invalid duration '%s' (examples: 15m, 72h, 7d)",
				 option->value);
	return 0;
}

static int read_line(struct cli *c, struct given *g, struct error *e)
{
	const struct cli_line *line = &c->line;

	for (size_t i = 0; i < line->given_count; i++) {
		int code = read_option(c, &line->given[i], g, e);

		if (code < 0)
			return code;
	}
	g->prunes = line->word_count > 0;
	if (g->prunes && strcmp(line->words[0], "prune") != 0)
		return cli_usage(c, e, "unexpected argument '%s' (prune, or none)", line->words[0]);
	if (g->prunes && !g->prune.unread_for_ns)
		return cli_usage(c, e, "prune needs --unread-for TIME");
	if (!g->prunes && (g->prune.dry_run || g->prune.unread_for_ns))
		return cli_usage(c, e, "--unread-for and --dry-run are for images prune");
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	struct given g = { .list = VARVE__V1__IMAGES_REQUEST__INIT,
			   .prune = VARVE__V1__PRUNE_IMAGES_REQUEST__INIT };
	cleanup(output_table_free) struct output_table *table = NULL;
	struct pruning p = { .c = c };
	int code = read_line(c, &g, e);

	if (code < 0)
		return code;
	table = output_table_new(
		&c->out, columns,
		g.prunes
			? "NAMESPACE,TAG,SIZE,UNIQUE,PULLED,LAST READ,REFUSED"
			: "NAMESPACE,TAG,SIZE,SHARED,UNIQUE,CONTAINERS,STATE,PULLED,LAST CONTAINER,LAST READ,EVER READ");
	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	p.table = table;
	code = g.prunes ? cli_call_each(c, "PruneImages", &g.prune.base,
					&varve__v1__pruned_image__descriptor, show_pruned, &p, e)
			: list(c, &g.list, table, e);
	output_table_print(table);
	return code;
}

const struct cli_verb command_images = {
	.name = "images",
	.arguments = "[prune]",
	.summary = "show images, and when their files were read; remove unread ones",
	.details =
		"Images of all namespaces of containerd, and those that Varve has pulled. With prune,\n"
		"containerd is asked to remove its images that were neither read nor pulled for the\n"
		"time of --unread-for; those that are pinned or that a container uses stay. That needs\n"
		"evict = images in the section [containerd] of the agent's configuration.",
	.max_words = 1,
	.options = options,
	.columns = columns,
	.run = run,
};
