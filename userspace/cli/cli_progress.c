/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/visible_text.h"
#include "varve.pb-c.h"

#define BAR_CELLS 24
#define ACTION_LENGTH 16
#define DIGEST_LENGTH 19 /* "sha256:" and 12 digits */
#define NAME_LENGTH 40

struct progress {
	struct cli *c;
	bool bar, lines, shown;
	char told[80]; /* the last piece that a line was printed for */
	struct cli_image image;
	bool summary_seen;
};

/* Everything that the agent sent passes through here on its way to the terminal. */
static void append_visible(struct strbuf *out, const struct progress *p, const char *text,
			   size_t length_max, int width)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	size_t length;

	visible_text_append(&visible, text, p->c->out.utf8);
	if (strbuf_failed(&visible))
		return; /* a progress line may lack a word */
	length = visible.length < length_max ? visible.length : length_max;
	/* Not in the middle of a character. */
	while (length > 0 && length < visible.length && (visible.text[length] & 0xc0) == 0x80)
		length--;
	strbuf_appendf(out, "%-*.*s", width, (int)length, visible.text ? visible.text : "");
}

/* The action and its object: the first characters of a digest, or the name of a file. */
static void append_piece(struct strbuf *out, const struct progress *p,
			 const Varve__V1__Progress *now, int name_width)
{
	const char *slash = strrchr(now->what, '/');
	bool is_digest = strncmp(now->what, "sha256:", 7) == 0;

	append_visible(out, p, now->action, ACTION_LENGTH, 6);
	strbuf_append(out, " ");
	if (is_digest)
		append_visible(out, p, now->what, DIGEST_LENGTH, name_width);
	else
		append_visible(out, p, slash ? slash + 1 : now->what, NAME_LENGTH, name_width);
}

/* One write, so that the lines of several programs do not mix. */
static void print_progress(struct strbuf *line)
{
	if (!strbuf_failed(line))
		(void)fputs(line->text, stderr);
	(void)fflush(stderr);
}

static void draw_bar(struct progress *p, const Varve__V1__Progress *now)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	char done[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX];
	double share = now->total > 0 ? (double)now->done / (double)now->total : 0;

	strbuf_append(&line, "\r\033[K");
	append_piece(&line, p, now, DIGEST_LENGTH);
	strbuf_append(&line, " ");
	for (int i = 0; i < BAR_CELLS && now->total > 0; i++) {
		bool full = i < (int)(share * BAR_CELLS);

		strbuf_append(&line, p->c->out.utf8 ? (full ? "█" : "░") : (full ? "#" : "."));
	}
	strbuf_appendf(&line, " %s", output_size(&p->c->out, now->done, done));
	if (now->total > 0)
		strbuf_appendf(&line, " of %s", output_size(&p->c->out, now->total, total));
	print_progress(&line);
	p->shown = true;
}

static void print_line(struct progress *p, const Varve__V1__Progress *now)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	char size[UNITS_TEXT_MAX], piece[sizeof(p->told)];

	(void)snprintf(piece, sizeof(piece), "%s %.71s", now->action, now->what);
	if (now->done != now->total || strcmp(piece, p->told) == 0)
		return;
	memcpy(p->told, piece, sizeof(piece));
	append_piece(&line, p, now, 0);
	strbuf_appendf(&line, " %s\n", output_size(&p->c->out, now->done, size));
	print_progress(&line);
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
	int code;

	p.bar = isatty(STDERR_FILENO) && !c->line.globals.quiet;
	p.lines = !p.bar && !c->line.globals.quiet;
	code = cli_call_each(c, method, request, &varve__v1__content_event__descriptor, see_event,
			     &p, e);
	if (p.shown)
		(void)fputs("\r\033[K", stderr);
	if (code < 0)
		return code;
	if (!p.summary_seen)
		return error_set(e, -EPROTO, "the agent ended the call without a summary");
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
	json_put_string(&w, "id", image->id);
	json_put_string(&w, "reference", reference);
	json_put_string(&w, "manifest", image->manifest[0] ? image->manifest : NULL);
	json_put_uint(&w, "layers", image->layers);
	json_put_uint(&w, "newLayers", image->new_layers);
	json_put_int(&w, "bytes", image->bytes);
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
