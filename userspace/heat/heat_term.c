/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_term.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "base/visible_text.h"

#define NOTHING HEAT_AGES /* no layer is there */
#define COLUMNS_MAX 1000
#define LINES_MAX 1000

/* A point is half a character high. */
struct heat_measures heat_term_measures(const struct heat_term *term, unsigned depth)
{
	unsigned columns = term->columns < COLUMNS_MAX ? term->columns : COLUMNS_MAX;
	unsigned lines = term->lines < LINES_MAX ? term->lines : LINES_MAX;

	return (struct heat_measures){ .width = columns ? columns : 1,
				       .height = 2.0 * (lines ? lines : 1),
				       .row_min = 4,
				       .row_max = 24,
				       .row_thin = 2,
				       .header = 2,
				       .character = 1,
				       .min_width = 1,
				       .min_area = 8,
				       .padding = 0,
				       .depth = depth };
}

struct grid {
	size_t width, height; /* in points; two of them are a character */
	unsigned char *ages;
	struct letter {
		char text[UTF8_MAX];
		unsigned char length; /* 0: no letter */
	} * letters; /* width × height / 2 */
};

static size_t round_to(double value, size_t most)
{
	long rounded = (long)(value + 0.5);

	return rounded < 0 ? 0 : (size_t)rounded > most ? most : (size_t)rounded;
}

static void fill(enum heat_age age, const struct heat_box *strip, void *user)
{
	struct grid *g = user;
	size_t right = round_to(strip->x + strip->width, g->width);
	size_t bottom = round_to(strip->y + strip->height, g->height);

	for (size_t y = round_to(strip->y, g->height); y < bottom; y++)
		for (size_t x = round_to(strip->x, g->width); x < right; x++)
			g->ages[y * g->width + x] = (unsigned char)age;
}

/* What a layer that is narrower than a character still shows. */
static void fill_narrow(struct grid *g, const struct heat_tile *tile)
{
	struct heat_box box = tile->body.width > 0 ? tile->body : tile->box;
	size_t x = round_to(box.x, g->width);

	if (tile->kind != HEAT_LAYER && tile->kind != HEAT_OTHER_LAYERS)
		return;
	if (round_to(box.x + box.width, g->width) > x)
		return;
	box.width = 1;
	box.x = (double)(x < g->width ? x : g->width - 1);
	fill(heat_age_of(tile->last_read_ns, INT64_MAX), &box, g);
}

static void clear_line(struct grid *g, size_t left, size_t right, size_t line)
{
	for (size_t x = left; x < right; x++) {
		g->ages[2 * line * g->width + x] = NOTHING;
		if (2 * line + 1 < g->height)
			g->ages[(2 * line + 1) * g->width + x] = NOTHING;
	}
}

static void write_letters(struct grid *g, const struct heat_tile *tile, bool utf8)
{
	cleanup(strbuf_free) struct strbuf label = { 0 }, visible = { 0 };
	size_t left = round_to(tile->label.x, g->width);
	size_t right = round_to(tile->label.x + tile->label.width, g->width);
	size_t line = round_to(tile->label.y / 2, (g->height - 1) / 2), at = 0, x = left;

	if (right > 0 && right < g->width)
		right--; /* labels do not touch */
	if (right < left + 3)
		return;
	heat_text_label(&label, tile);
	if (label.text)
		visible_text_append(&visible, label.text, utf8);
	if (tile->kind == HEAT_LAYER || tile->kind == HEAT_OTHER_LAYERS)
		clear_line(g, left, right, line);
	for (; at < visible.length && x < right; x++) {
		struct letter *l = &g->letters[line * g->width + x];
		uint32_t character;

		l->length = (unsigned char)utf8_next(visible.text + at, visible.length - at,
						     &character);
		memcpy(l->text, visible.text + at, l->length);
		at += l->length;
	}
}

static const struct heat_age_style nothing = {
	.red = 255, .green = 255, .blue = 255, .glyph = ' '
};

static const struct heat_age_style *style_at(const struct grid *g, size_t x, size_t y)
{
	unsigned age = y < g->height ? g->ages[y * g->width + x] : NOTHING;

	return age < HEAT_AGES ? heat_age_style((enum heat_age)age) : NULL;
}

/* "48;2;R;G;B", or the terminal's own background. */
static void append_color(struct strbuf *out, const struct heat_age_style *s, int layer)
{
	if (s)
		strbuf_appendf(out, "\033[%d;2;%d;%d;%dm", layer, s->red, s->green, s->blue);
	else
		strbuf_appendf(out, "\033[%dm", layer + 1);
}

static bool is_dark(const struct heat_age_style *s)
{
	return s && s->red + s->green + s->blue < 380;
}

static void append_colored(struct strbuf *out, const struct grid *g, size_t x, size_t line)
{
	const struct heat_age_style *above = style_at(g, x, 2 * line);
	const struct heat_age_style *below = style_at(g, x, 2 * line + 1);
	const struct letter *l = &g->letters[line * g->width + x];

	if (l->length) {
		append_color(out, above, 48);
		if (above)
			strbuf_append(out, is_dark(above) ? "\033[97m" : "\033[30m");
		else
			strbuf_append(out, "\033[39m");
		strbuf_append_bytes(out, l->text, l->length);
		return;
	}
	append_color(out, below, 48);
	if (above == below) {
		strbuf_append(out, " ");
	} else if (above) {
		append_color(out, above, 38);
		strbuf_append(out, "▀");
	} else {
		strbuf_append(out, "\033[49m");
		append_color(out, below, 38);
		strbuf_append(out, "▄");
	}
}

static void append_plain(struct strbuf *out, const struct grid *g, size_t x, size_t line)
{
	const struct heat_age_style *s = style_at(g, x, 2 * line);
	const struct letter *l = &g->letters[line * g->width + x];

	if (l->length)
		strbuf_append_bytes(out, l->text, l->length);
	else
		strbuf_append_bytes(out, s ? &s->glyph : &nothing.glyph, 1);
}

/* Blanks at the end of a line are left out. */
static size_t line_width(const struct grid *g, size_t line)
{
	size_t width = g->width;

	while (width > 0 && !g->letters[line * g->width + width - 1].length &&
	       !style_at(g, width - 1, 2 * line) && !style_at(g, width - 1, 2 * line + 1))
		width--;
	return width;
}

static void append_legend(struct strbuf *out, const struct heat_term *term)
{
	for (enum heat_age age = HEAT_HOUR; age < HEAT_AGES; age++) {
		const struct heat_age_style *s = heat_age_style(age);

		if (term->color) {
			append_color(out, s, 48);
			strbuf_appendf(out, "  \033[0m %s  ", s->name);
		} else {
			strbuf_appendf(out, "%c %s  ", s->glyph, s->name);
		}
	}
	strbuf_append(out, "\n");
}

static void append_grid(struct strbuf *out, const struct grid *g, const struct heat_term *term)
{
	for (size_t line = 0; line < (g->height + 1) / 2; line++) {
		size_t width = line_width(g, line);

		for (size_t x = 0; x < width; x++) {
			if (term->color && term->utf8)
				append_colored(out, g, x, line);
			else
				append_plain(out, g, x, line);
		}
		strbuf_append(out, term->color && term->utf8 && width ? "\033[0m\n" : "\n");
	}
}

static void grid_free(struct grid *g)
{
	free(g->ages);
	free(g->letters);
}
DEFINE_CLEANUP_VALUE(struct grid, grid_free)

void heat_term_write(struct strbuf *out, const struct heat_picture *p,
		     const struct heat_caption *caption, const struct heat_term *term)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	cleanup(grid_free) struct grid g = { .width = (size_t)p->width,
					     .height = (size_t)(p->height + 0.5) };

	heat_text_caption(&text, p, caption);
	g.ages = malloc(g.width * (g.height + 2));
	g.letters = calloc(g.width * (g.height / 2 + 2), sizeof(*g.letters));
	if (!g.ages || !g.letters || strbuf_failed(&text)) {
		out->failed = true;
		return;
	}
	memset(g.ages, NOTHING, g.width * (g.height + 2));
	if (text.text)
		visible_text_append(out, text.text, term->utf8);
	strbuf_append(out, "\n");
	append_legend(out, &(struct heat_term){ .color = term->color && term->utf8 });
	for (size_t i = 0; g.height > 0 && i < p->count; i++) {
		heat_picture_strips(&p->tiles[i], fill, &g);
		fill_narrow(&g, &p->tiles[i]);
		if (p->tiles[i].label.width > 0)
			write_letters(&g, &p->tiles[i], term->utf8);
	}
	append_grid(out, &g, term);
}
