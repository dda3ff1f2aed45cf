/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "varve.pb-c.h"

#define BAR_CELLS 24

struct progress {
	struct cli *c;
	bool bar, lines, shown;
	char told[80]; /* the newest piece that has a line */
	struct cli_image image;
	bool summary_seen;
};

/* A digest by its first characters, a file by its name. */
static const char *short_name(const char *what, char text[48])
{
	const char *slash = strrchr(what, '/');

	if (strncmp(what, "sha256:", 7) == 0)
		(void)snprintf(text, 48, "%.19s", what);
	else
		(void)snprintf(text, 48, "%.40s", slash ? slash + 1 : what);
	return text;
}

static void draw_bar(struct progress *p, const Varve__V1__Progress *now)
{
	char name[48], done[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX], bar[BAR_CELLS * 3 + 1] = "";
	int64_t cells = now->total > 0 ? now->done * BAR_CELLS / now->total : 0;

	for (int i = 0; i < BAR_CELLS && now->total > 0; i++)
		strcat(bar, p->c->out.utf8 ? (i < cells ? "█" : "░") : (i < cells ? "#" : "."));
	(void)fprintf(stderr, "\r\033[K%-6s %-19s %s %s", now->action, short_name(now->what, name),
		      bar, output_size(&p->c->out, now->done, done));
	if (now->total > 0)
		(void)fprintf(stderr, " of %s", output_size(&p->c->out, now->total, total));
	(void)fflush(stderr);
	p->shown = true;
}

static void print_line(struct progress *p, const Varve__V1__Progress *now)
{
	char name[48], size[UNITS_TEXT_MAX], piece[sizeof(p->told)];

	(void)snprintf(piece, sizeof(piece), "%s %.71s", now->action, now->what);
	if (now->done != now->total || strcmp(piece, p->told) == 0)
		return;
	memcpy(p->told, piece, sizeof(piece));
	(void)fprintf(stderr, "%-6s %s %s\n", now->action, short_name(now->what, name),
		      output_size(&p->c->out, now->done, size));
}

static int see_event(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__ContentEvent *event = (const Varve__V1__ContentEvent *)reply;
	struct progress *p = user;

	(void)e;
	if (event->event_case == VARVE__V1__CONTENT_EVENT__EVENT_PROGRESS) {
		if (p->bar)
			draw_bar(p, event->progress);
		else if (p->lines)
			print_line(p, event->progress);
	} else if (event->event_case == VARVE__V1__CONTENT_EVENT__EVENT_SUMMARY) {
		const Varve__V1__ImageSummary *s = event->summary;

		p->summary_seen = true;
		p->image.layers = s->layers;
		p->image.new_layers = s->new_layers;
		p->image.bytes = s->bytes;
		(void)snprintf(p->image.id, sizeof(p->image.id), "%s", s->id);
		(void)snprintf(p->image.manifest, sizeof(p->image.manifest), "%s", s->manifest);
	}
	return 0;
}

int cli_progress_call(struct cli *c, const char *method, const ProtobufCMessage *request,
		      struct cli_image *ret_image, struct error *e)
{
	struct progress p = { .c = c };
	int r;

	p.bar = isatty(STDERR_FILENO) && !c->line.globals.quiet;
	p.lines = !p.bar && !c->line.globals.quiet;
	r = cli_call_each(c, method, request, &varve__v1__content_event__descriptor, see_event, &p,
			  e);
	if (p.shown)
		(void)fputs("\r\033[K", stderr);
	if (r == 0 && !p.summary_seen)
		r = error_set(e, -EPROTO, "the agent ended without a summary");
	if (r < 0)
		return r;
	*ret_image = p.image;
	return 0;
}

void cli_progress_print(struct cli *c, const struct cli_image *image, const char *reference)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	if (!c->line.globals.json) {
		output_text(&c->out, image->id);
		return;
	}
	json_open_object(&w, NULL);
	json_string(&w, "id", image->id);
	json_string(&w, "reference", reference);
	json_string(&w, "manifest", image->manifest[0] ? image->manifest : NULL);
	json_uint(&w, "layers", image->layers);
	json_uint(&w, "newLayers", image->new_layers);
	json_int(&w, "bytes", image->bytes);
	json_close_object(&w);
	output_json_line(&c->out, &w);
}

char *cli_progress_absolute(const char *reference)
{
	static const char *const prefixes[] = { "oci:", "oci-archive:", "tar:" };
	cleanup(free_ptr) char *here = NULL;
	char *absolute;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t length = strlen(prefixes[i]);

		if (strncmp(reference, prefixes[i], length) != 0 || reference[length] == '/' ||
		    !reference[length])
			continue;
		here = getcwd(NULL, 0);
		if (!here ||
		    asprintf(&absolute, "%s%s/%s", prefixes[i], here, reference + length) < 0)
			return NULL;
		return absolute;
	}
	return strdup(reference);
}
