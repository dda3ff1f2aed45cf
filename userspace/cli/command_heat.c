/* SPDX-License-Identifier: Apache-2.0 */
/* A picture of layers and their folders, coloured by when they were read last. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli_heat.h"
#include "cli/cli_since.h"
#include "cli/commands.h"
#include "heat/heat_html.h"
#include "heat/heat_svg.h"
#include "heat/heat_term.h"

#define DEFAULT_DEPTH 3

enum option { OPTION_FORMAT, OPTION_DEPTH, OPTION_AT, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_FORMAT] = { 'f', "format", "FORMAT", "term (the default), svg or html" },
	[OPTION_DEPTH] = { 'd', "depth", "N", "levels of folders in a layer, 0 to 8" },
	[OPTION_AT] = { 0, "at", "TIME", "count ages from this time, not from now" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

enum format { FORMAT_TERM, FORMAT_SVG, FORMAT_HTML, FORMAT_COUNT };

struct request {
	enum format format;
	int depth; /* -1: not given */
	int64_t now_ns;
};

/* ---- the command line ---- */

static int parse_format(struct cli *c, const char *text, enum format *ret_format, struct error *e)
{
	static const char *const names[] = { "term", "svg", "html" };

	for (enum format f = FORMAT_TERM; f < FORMAT_COUNT; f++) {
		if (strcmp(text, names[f]) == 0) {
			*ret_format = f;
			return 0;
		}
	}
	return cli_usage(c, e, "invalid format '%s' (term, svg or html)", text);
}

static int parse_depth(struct cli *c, const char *text, int *ret_depth, struct error *e)
{
	if (strlen(text) != 1 || *text < '0' || *text > '0' + HEAT_TREE_DEPTH_MAX)
		return cli_usage(c, e, "invalid depth '%s' (0 to %d)", text, HEAT_TREE_DEPTH_MAX);
	*ret_depth = *text - '0';
	return 0;
}

static int read_options(struct cli *c, struct request *r, struct error *e)
{
	int code = 0;

	for (size_t i = 0; i < c->line.given_count && code == 0; i++) {
		const struct cli_given *given = &c->line.given[i];

		if (given->option == OPTION_FORMAT)
			code = parse_format(c, given->value, &r->format, e);
		else if (given->option == OPTION_DEPTH)
			code = parse_depth(c, given->value, &r->depth, e);
		else
			code = cli_since_parse(c, given->value, &r->now_ns, e);
	}
	return code;
}

/* ---- what it is of ---- */

/* Varve's own names say where the image came from. */
#define REGISTRY "docker://"

static bool has_tag(const Varve__V1__Image *image, const char *name)
{
	for (size_t i = 0; i < image->n_tags; i++) {
		const char *tag = image->tags[i];

		if (strcmp(tag, name) == 0 || (strncmp(tag, REGISTRY, strlen(REGISTRY)) == 0 &&
					       strcmp(tag + strlen(REGISTRY), name) == 0))
			return true;
	}
	return false;
}

/* The record at the top of an image of that name; NULL: there is none. */
static char *find_image(struct cli *c, const char *name)
{
	Varve__V1__ImagesRequest request = VARVE__V1__IMAGES_REQUEST__INIT;
	cleanup(free_reply) Varve__V1__ImagesReply *reply = NULL;
	struct error ignored = { 0 };

	reply = cli_call_one(c, "Images", &request.base, &varve__v1__images_reply__descriptor,
			     &ignored);
	for (size_t i = 0; reply && i < reply->n_images; i++)
		if (has_tag(reply->images[i], name))
			return strdup(reply->images[i]->record);
	return NULL;
}

/* Ids have no other characters. */
static bool may_be_id(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789")] == '\0';
}

static int fetch(struct cli *c, struct cli_heat *heat, struct error *e)
{
	const char *word = c->line.word_count > 0 ? c->line.words[0] : NULL;
	cleanup(free_ptr) char *top = word && !may_be_id(word) ? find_image(c, word) : NULL;

	if (word && !may_be_id(word) && !top)
		return error_set(e, -ENOENT,
				 "no image is called '%s' (varve images lists their names)", word);
	return cli_heat_fetch(c, top ? top : word, heat, e);
}

/* ---- output ---- */

static unsigned number_of(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	return value > 0 && value < 10000 ? (unsigned)value : otherwise;
}

static struct heat_term terminal(const struct cli *c)
{
	struct winsize size = { 0 };
	struct heat_term term = { .color = c->out.color, .utf8 = c->out.utf8 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){ 0 };
	term.columns = size.ws_col ? size.ws_col : number_of("COLUMNS", 80);
	term.lines = size.ws_row ? size.ws_row : number_of("LINES", 24);
	/* The caption, the legend, and the prompt after it. */
	term.lines = term.lines > 6 ? term.lines - 4 : 2;
	return term;
}

static int print_picture(struct cli *c, const struct request *r, const struct cli_heat *heat,
			 struct error *e)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	cleanup(heat_picture_free) struct heat_picture picture = { 0 };
	struct heat_term term = terminal(c);
	struct heat_measures measures = r->format == FORMAT_TERM
						? heat_term_measures(&term, heat->depth)
						: heat_svg_measures(heat->depth);
	struct heat_caption caption = { .subject = c->line.word_count > 0 ? c->line.words[0]
									  : "all layers",
					.backend = heat->info->backend,
					.now_ns = heat->now_ns,
					.incomplete = heat->incomplete };
	int code = heat_picture_make(heat->layers, heat->count, &measures, heat->now_ns, &picture);

	if (code < 0)
		return error_set(e, code, "cannot draw: %s", strerror(-code));
	if (r->format == FORMAT_TERM)
		heat_term_write(&text, &picture, &caption, &term);
	else if (r->format == FORMAT_SVG)
		heat_svg_write(&text, &picture, &caption, true);
	else
		heat_html_write(&text, &picture, &caption);
	if (strbuf_failed(&text))
		return error_set(e, -ENOMEM, "out of memory");
	(void)fputs(text.text ? text.text : "", stdout); /* main() checks stdout at the end */
	return 0;
}

static void write_ages(struct json_writer *w, const int64_t bytes[HEAT_AGES])
{
	static const char *const keys[HEAT_AGES] = { "1h",    "24h",   "7d",	 "30d",
						     "older", "never", "unknown" };

	json_open_object(w, "bytes");
	for (enum heat_age age = HEAT_HOUR; age < HEAT_AGES; age++)
		json_put_int(w, keys[age], bytes[age]);
	json_close_object(w);
}

static void print_json(struct cli *c, const char *layer, const char *path, int64_t last_read_ns,
		       const int64_t bytes[HEAT_AGES])
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "layer", layer);
	json_put_string(&w, "path", path);
	output_json_time(&w, "lastReadAt", last_read_ns > 0 ? last_read_ns : 0);
	json_put_bool(&w, "known", last_read_ns != HEAT_NOT_KNOWN);
	write_ages(&w, bytes);
	json_close_object(&w);
	output_json_line(&c->out, &w);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct heat_folder *const *)a)->name,
		      (*(const struct heat_folder *const *)b)->name);
}

static int print_folders(struct cli *c, const char *layer, const struct heat_folder *f,
			 const char *path)
{
	cleanup(free_ptr) const struct heat_folder **all = calloc(f->child_count + 1, sizeof(*all));
	size_t count = 0;

	if (!all)
		return -ENOMEM;
	for (const struct heat_folder *child = f->first_child; child; child = child->next)
		all[count++] = child;
	qsort(all, count, sizeof(struct heat_folder *), by_name);
	for (size_t i = 0; i < count; i++) {
		cleanup(strbuf_free) struct strbuf longer = { 0 };

		strbuf_appendf(&longer, "%s%s%s", path, *path ? "/" : "", all[i]->name);
		if (strbuf_failed(&longer))
			return -ENOMEM;
		print_json(c, layer, longer.text, all[i]->last_read_ns, all[i]->bytes);
		if (print_folders(c, layer, all[i], longer.text) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A line for each layer, and for each folder and large file in it. */
static int print_all_json(struct cli *c, const struct cli_heat *heat, struct error *e)
{
	for (size_t i = 0; i < heat->count; i++) {
		const struct heat_layer *l = &heat->layers[i];
		int64_t bytes[HEAT_AGES] = { 0 };

		bytes[heat_age_of(l->last_read_ns, heat->now_ns)] =
			l->size_bytes > 0 ? l->size_bytes : 0;
		print_json(c, l->id, NULL, l->last_read_ns,
			   l->tree ? heat_tree_root(l->tree)->bytes : bytes);
		if (l->tree && print_folders(c, l->id, heat_tree_root(l->tree), "") < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(cli_heat_free) struct cli_heat heat = { 0 };
	struct request r = { .depth = -1, .now_ns = clock_wall_ns() / NS_PER_S * NS_PER_S };
	int code = read_options(c, &r, e);

	if (code < 0)
		return code;
	heat.now_ns = r.now_ns;
	heat.depth = r.depth >= 0 ? (unsigned)r.depth : c->line.word_count > 0 ? DEFAULT_DEPTH : 0;
	code = fetch(c, &heat, e);
	if (code < 0)
		return code;
	return c->line.globals.json ? print_all_json(c, &heat, e) : print_picture(c, &r, &heat, e);
}

const struct cli_verb command_heat = {
	.name = "heat",
	.arguments = "[ID|IMAGE]",
	.summary = "draw layers and their folders, coloured by when they were read last",
	.details =
		"The width of a layer and the area of a folder are its bytes. Without an argument "
		"the\npicture is of all layers, and has folders only with --depth.",
	.max_words = 1,
	.options = options,
	.run = run,
};
