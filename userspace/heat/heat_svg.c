/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_svg.h"

#include "base/markup.h"
#include "base/utf8.h"

#define WIDTH 1200
#define MARGIN 8
#define TOP 46 /* for the caption and the legend */
#define CHARACTER 6.4 /* the usual width of one, of 11 pixels */

struct heat_measures heat_svg_measures(unsigned depth)
{
	return (struct heat_measures){ .width = WIDTH,
				       .height = 640,
				       .row_min = 40,
				       .row_max = depth > 0 ? 320 : 90,
				       .row_thin = 18,
				       .header = 14,
				       .character = CHARACTER,
				       .min_width = 3,
				       .min_area = 220,
				       .padding = 2,
				       .depth = depth };
}

static void append_number(struct strbuf *out, const char *name, double value)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%.1f", value);

	if (length > 2 && text[length - 1] == '0')
		text[length - 2] = '\0';
	strbuf_appendf(out, " %s=\"%s\"", name, text);
}

static void append_box(struct strbuf *out, const struct heat_box *box)
{
	append_number(out, "x", box->x + MARGIN);
	append_number(out, "y", box->y + TOP);
	append_number(out, "width", box->width);
	append_number(out, "height", box->height);
}

/* Bytes at the start of a text that are not more characters than fit, as they are shown. */
static size_t fitting_length(const char *text, size_t characters)
{
	size_t length = strlen(text), at = 0, shown = 0;

	while (at < length) {
		uint32_t character;
		size_t size = utf8_next(text + at, length - at, &character);

		/* What has to be made visible takes more room. */
		shown += character < 0x20 || character == UTF8_STRAY ? 4 : 1;
		if (shown > characters)
			break;
		at += size;
	}
	return at;
}

/* A light edge around the letters, so that they can be read on any colour. */
static void write_label(struct strbuf *out, const struct heat_tile *tile)
{
	cleanup(strbuf_free) struct strbuf label = { 0 };
	double room = (tile->label.width - 6) / CHARACTER;
	size_t length;

	if (room < 3)
		return;
	heat_text_label(&label, tile);
	if (strbuf_failed(&label)) {
		out->failed = true;
		return;
	}
	length = fitting_length(label.text, (size_t)room);
	/* Of a path, the last part says most. */
	if (length < label.length && tile->kind == HEAT_FOLDER && strrchr(label.text, '/')) {
		const char *name = strrchr(label.text, '/') + 1;

		label.length = strlen(name);
		memmove(label.text, name, label.length + 1);
		length = fitting_length(label.text, (size_t)room);
	}
	strbuf_append(out, "<text stroke=\"#fff\" stroke-width=\"2.5\" paint-order=\"stroke\"");
	append_number(out, "x", tile->label.x + MARGIN + 3);
	append_number(out, "y", tile->label.y + TOP + 11);
	strbuf_append(out, ">");
	if (length < label.length)
		length = fitting_length(label.text, (size_t)room - 1);
	else
		length = label.length;
	bool cut = length < label.length;

	label.text[length] = '\0';
	markup_append(out, label.text);
	strbuf_append(out, cut ? "…</text>" : "</text>");
}

static void write_strip(enum heat_age age, const struct heat_box *strip, void *user)
{
	struct strbuf *out = user;

	strbuf_append(out, "<rect");
	append_box(out, strip);
	strbuf_appendf(out, " fill=\"%s\"/>", heat_age_style(age)->fill);
}

static const char *border_of(const struct heat_tile *tile)
{
	if (tile->kind == HEAT_FOLDER || tile->kind == HEAT_OTHER_FOLDERS)
		return " fill=\"none\" stroke=\"#666\" stroke-width=\".6\"";
	if (tile->kind == HEAT_LAYER && (tile->layer->pinned || tile->layer->in_use))
		return " fill=\"none\" stroke=\"#000\" stroke-width=\"2\"";
	return " fill=\"none\" stroke=\"#777\"";
}

/* In the order of drawing: strips, a border, a label. */
static void write_tile(struct strbuf *out, const struct heat_tile *tile)
{
	cleanup(strbuf_free) struct strbuf tooltip = { 0 };

	heat_text_tooltip(&tooltip, tile);
	out->failed |= strbuf_failed(&tooltip);
	strbuf_append(out, tile->body.width > 0 ? "<g class=\"heat\"><title>"
						: "<g class=\"heat part\"><title>");
	for (char *line = tooltip.text; line && *line;) {
		char *end = strchrnul(line, '\n');
		bool more = *end != '\0';

		*end = '\0';
		markup_append(out, line);
		if (more)
			strbuf_append(out, "\n");
		line = end + more;
	}
	strbuf_append(out, "</title>");
	if (tile->body.width <= 0) {
		strbuf_append(out, "<rect");
		append_box(out, &tile->box);
		strbuf_append(out, " fill=\"#eee\"/>");
	}
	heat_picture_strips(tile, write_strip, out);
	strbuf_append(out, "<rect");
	append_box(out, &tile->box);
	strbuf_appendf(out, "%s/>", border_of(tile));
	write_label(out, tile);
	strbuf_append(out, "</g>\n");
}

static void write_patterns(struct strbuf *out)
{
	strbuf_append(
		out,
		"<defs>"
		"<pattern id=\"never\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
		"<rect width=\"6\" height=\"6\" fill=\"#fff\"/>"
		"<path d=\"M-1 7L7 -1M-1 1L1 -1M5 7L7 5\" stroke=\"#999\"/></pattern>"
		"<pattern id=\"unknown\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
		"<rect width=\"6\" height=\"6\" fill=\"#fff\"/>"
		"<circle cx=\"3\" cy=\"3\" r=\"1\" fill=\"#999\"/></pattern></defs>\n");
}

static void write_legend(struct strbuf *out)
{
	double x = MARGIN;

	for (enum heat_age age = HEAT_HOUR; age < HEAT_AGES; age++) {
		const struct heat_age_style *style = heat_age_style(age);

		strbuf_append(out, "<rect");
		append_number(out, "x", x);
		strbuf_appendf(out,
			       " y=\"26\" width=\"18\" height=\"12\" fill=\"%s\" stroke=\"#777\"/>"
			       "<text",
			       style->fill);
		append_number(out, "x", x + 23);
		strbuf_appendf(out, " y=\"36\">%s</text>\n", style->name);
		x += 23 + CHARACTER * (double)strlen(style->name) + 18;
	}
	strbuf_append(out, "<rect");
	append_number(out, "x", x);
	strbuf_append(out, " y=\"27\" width=\"18\" height=\"10\" fill=\"none\" stroke=\"#000\" "
			   "stroke-width=\"2\"/><text");
	append_number(out, "x", x + 23);
	strbuf_append(out, " y=\"36\">pinned or in use</text>\n");
}

void heat_svg_write(struct strbuf *out, const struct heat_picture *p,
		    const struct heat_caption *caption, bool standalone)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	double width = p->width + 2 * MARGIN, height = p->height + TOP + MARGIN;

	heat_text_caption(&text, p, caption);
	out->failed |= strbuf_failed(&text);
	if (standalone)
		strbuf_append(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	strbuf_appendf(out,
		       "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"heat-picture\" "
		       "role=\"img\" viewBox=\"0 0 %.0f %.0f\"",
		       width, height);
	if (standalone)
		strbuf_appendf(out, " width=\"%.0f\" height=\"%.0f\"", width, height);
	strbuf_append(out, " font-family=\"sans-serif\" font-size=\"11\">\n<title>");
	if (text.text)
		markup_append(out, text.text);
	strbuf_append(out, "</title>\n");
	write_patterns(out);
	strbuf_append(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"8\" "
			   "y=\"16\" font-size=\"13\">");
	if (text.text)
		markup_append(out, text.text);
	strbuf_append(out, "</text>\n");
	write_legend(out);
	for (size_t i = 0; i < p->count; i++)
		write_tile(out, &p->tiles[i]);
	strbuf_append(out, "</svg>\n");
}
