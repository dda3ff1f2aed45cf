/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_picture.h"

#include <errno.h>
#include <string.h>

#include "base/vec.h"
#include "heat/heat_icicle.h"

struct drawing {
	const struct heat_measures *m;
	const struct heat_layer *layer; /* of the present tiles */
	struct heat_picture *picture;
};

static struct heat_tile *add_tile(struct drawing *d, enum heat_kind kind,
				  const struct heat_box *box)
{
	struct heat_picture *p = d->picture;
	struct heat_tile *tiles = vec_reserve(p->tiles, &p->capacity, p->count + 1, sizeof(*tiles));

	if (!tiles)
		return NULL;
	p->tiles = tiles;
	tiles[p->count] =
		(struct heat_tile){ .kind = kind, .box = *box, .layer = d->layer, .others = 1 };
	return &tiles[p->count++];
}

static void add_bytes(struct heat_tile *t, const int64_t bytes[HEAT_AGES])
{
	for (size_t i = 0; i < HEAT_AGES; i++) {
		t->bytes[i] += bytes[i];
		t->size_bytes += bytes[i];
	}
}

static int64_t sum(const int64_t bytes[HEAT_AGES])
{
	int64_t all = 0;

	for (size_t i = 0; i < HEAT_AGES; i++)
		all += bytes[i];
	return all;
}

/* Whether a line of text with some characters fits, with something below it. */
static bool has_label(const struct heat_measures *m, const struct heat_box *box)
{
	return box->width >= 4 * m->character + 2 * m->padding && box->height >= 2 * m->header;
}

/* Takes the line of text off the box. */
static struct heat_box take_label(const struct heat_measures *m, struct heat_box *rest)
{
	struct heat_box label = *rest;

	label.height = m->header;
	rest->y += m->header;
	rest->height -= m->header;
	return label;
}

static void pad(const struct heat_measures *m, struct heat_box *box)
{
	box->x += m->padding;
	box->width -= 2 * m->padding;
	box->height -= m->padding;
}

/* ---- folders ---- */

/* One part of a treemap: a folder, or (NULL) the files of the folder that have none. */
struct part {
	const struct heat_folder *folder;
	const int64_t *bytes;
	int64_t size;
};

static int by_size(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (!x->folder || !y->folder)
		return !x->folder - !y->folder;
	return strcmp(x->folder->name, y->folder->name);
}

/* Sorted; without empty ones. */
static struct part *list_parts(const struct heat_folder *f, size_t *ret_count)
{
	struct part *parts = calloc(f->child_count + 1, sizeof(*parts));
	size_t count = 0;

	if (!parts)
		return NULL;
	for (const struct heat_folder *c = f->first_child; c; c = c->next)
		if (sum(c->bytes) > 0)
			parts[count++] = (struct part){ c, c->bytes, sum(c->bytes) };
	if (sum(f->own_bytes) > 0)
		parts[count++] = (struct part){ NULL, f->own_bytes, sum(f->own_bytes) };
	qsort(parts, count, sizeof(*parts), by_size);
	*ret_count = count;
	return parts;
}

static int draw_folder(struct drawing *d, const struct heat_folder *f, const struct heat_box *box,
		       unsigned level);

/* The files of a folder, or parts that are too small to be shown. */
static int draw_rest(struct drawing *d, const struct heat_folder *f, const struct part *parts,
		     size_t count, const struct heat_box *box)
{
	struct heat_tile *t = add_tile(d, HEAT_OTHER_FOLDERS, box);

	if (!t)
		return -ENOMEM;
	t->folder = f;
	t->others = 0;
	t->body = *box;
	for (size_t i = 0; i < count; i++) {
		add_bytes(t, parts[i].bytes);
		t->others += parts[i].folder != NULL;
	}
	return 0;
}

static int draw_parts(struct drawing *d, const struct heat_folder *f, const struct part *parts,
		      size_t count, const struct heat_box *body, unsigned level)
{
	cleanup(free_ptr) double *weights = calloc(count + 1, sizeof(*weights));
	cleanup(free_ptr) struct heat_box *boxes = calloc(count + 1, sizeof(*boxes));
	double total = (double)sum(f->bytes), area = body->width * body->height;
	size_t shown = 0, places;
	int code = 0;

	if (!weights || !boxes)
		return -ENOMEM;
	for (; shown < count && (double)parts[shown].size / total * area >= d->m->min_area; shown++)
		weights[shown] = (double)parts[shown].size;
	places = shown;
	for (size_t i = shown; i < count; i++)
		weights[shown] += (double)parts[i].size;
	if (shown < count)
		places++; /* it may be larger than those before, which only costs its shape */
	heat_squares(body, weights, places, boxes);
	for (size_t i = 0; i < shown && code == 0; i++)
		code = parts[i].folder ? draw_folder(d, parts[i].folder, &boxes[i], level + 1)
				       : draw_rest(d, f, &parts[i], 1, &boxes[i]);
	if (code == 0 && shown < count)
		code = draw_rest(d, f, parts + shown, count - shown, &boxes[shown]);
	return code;
}

/* Draws what is in a folder; false: it has to be one tile. */
static int draw_inside(struct drawing *d, const struct heat_folder *f, const struct heat_box *body,
		       unsigned level, bool *ret_drawn)
{
	size_t count = 0;
	cleanup(free_ptr) struct part *parts = NULL;

	*ret_drawn = false;
	if (level >= d->m->depth || !f->first_child || body->width <= 0 || body->height <= 0 ||
	    body->width * body->height < 4 * d->m->min_area)
		return 0;
	parts = list_parts(f, &count);
	if (!parts)
		return -ENOMEM;
	/* Nothing is gained where all is in one part that cannot be seen. */
	if (count == 0)
		return 0;
	*ret_drawn = true;
	return draw_parts(d, f, parts, count, body, level);
}

/* Folders that only lead to one other folder are shown as that one, whose path has their names. */
static const struct heat_folder *skip_lone(const struct heat_folder *f)
{
	while (f->child_count == 1 && sum(f->own_bytes) == 0)
		f = f->first_child;
	return f;
}

static int draw_folder(struct drawing *d, const struct heat_folder *f, const struct heat_box *box,
		       unsigned level)
{
	struct heat_tile *t = add_tile(d, HEAT_FOLDER, box);
	struct heat_box body = *box;
	size_t at = d->picture->count - 1;
	bool drawn;
	int code;

	if (!t)
		return -ENOMEM;
	f = skip_lone(f);
	t->folder = f;
	t->last_read_ns = f->last_read_ns;
	add_bytes(t, f->bytes);
	if (has_label(d->m, box)) {
		t->label = take_label(d->m, &body);
		pad(d->m, &body);
	}
	code = t->label.width > 0 ? draw_inside(d, f, &body, level, &drawn) : (drawn = false, 0);
	if (code == 0 && !drawn)
		d->picture->tiles[at].body = *box;
	return code;
}

/* ---- layers ---- */

static int draw_layer(struct drawing *d, const struct heat_place *p, const struct heat_box *box)
{
	struct heat_tile *t = add_tile(d, p->merged > 1 ? HEAT_OTHER_LAYERS : HEAT_LAYER, box);
	const struct heat_folder *root =
		d->layer->tree && p->merged == 1 ? heat_tree_root(d->layer->tree) : NULL;
	struct heat_box body = *box;
	size_t at = d->picture->count - 1;
	bool drawn = false;
	int code = 0;

	if (!t)
		return -ENOMEM;
	t->others = p->merged;
	t->last_read_ns = d->layer->last_read_ns;
	add_bytes(t, p->bytes);
	if (has_label(d->m, box)) {
		t->label = take_label(d->m, &body);
		pad(d->m, &body);
	} else if (p->space - box->width >= 8 * d->m->character) {
		t->label = (struct heat_box){ box->x + box->width, box->y, p->space - box->width,
					      d->m->header };
	}
	if (root && sum(root->bytes) > 0) {
		memcpy(t->bytes, root->bytes, sizeof(t->bytes));
		code = draw_inside(d, root, &body, 0, &drawn);
	}
	if (code == 0 && !drawn)
		d->picture->tiles[at].body = body;
	return code;
}

/* ---- rows ---- */

/* Where each row begins, and at the end where the last one ends. */
static double *make_rows(const struct heat_places *places, const struct heat_measures *m)
{
	double *rows = calloc(places->rows + 2, sizeof(*rows));
	double rest = m->height, usual, at = 0;
	unsigned wide = 0;

	if (!rows)
		return NULL;
	for (size_t i = 0; i < places->count; i++)
		if (places->items[i].width >= 4 * m->character)
			rows[places->items[i].row] = 1;
	for (unsigned i = 0; i < places->rows; i++) {
		wide += rows[i] > 0;
		rest -= rows[i] > 0 ? 0 : m->row_thin;
	}
	usual = wide ? rest / wide : 0;
	if (usual > m->row_max)
		usual = m->row_max;
	if (usual < m->row_thin)
		usual = m->row_thin;
	usual = (double)((int64_t)(usual / m->row_thin * 4)) / 4 * m->row_thin;
	for (unsigned i = 0; i < places->rows; i++) {
		double height = rows[i] > 0 ? usual : m->row_thin;

		rows[i] = at;
		at += height;
	}
	rows[places->rows] = at;
	return rows;
}

static int draw_layers(struct drawing *d, const struct heat_layer *layers,
		       const struct heat_places *places, const double *rows)
{
	for (size_t i = 0; i < places->count; i++) {
		const struct heat_place *p = &places->items[i];
		struct heat_box box = { p->x, rows[p->row], p->width,
					rows[p->row + 1] - rows[p->row] };
		int code;

		if (box.width < d->m->min_width / 2)
			box.width = d->m->min_width / 2;
		d->layer = &layers[p->layer];
		code = draw_layer(d, p, &box);
		if (code < 0)
			return code;
	}
	return 0;
}

int heat_picture_make(const struct heat_layer *layers, size_t count,
		      const struct heat_measures *measures, int64_t now_ns,
		      struct heat_picture *ret_picture)
{
	cleanup(heat_places_free) struct heat_places places = { 0 };
	cleanup(heat_picture_free) struct heat_picture drawn = { 0 };
	cleanup(free_ptr) double *rows = NULL;
	struct drawing d = { .m = measures, .picture = &drawn };
	int code = heat_icicle_make(layers, count, measures, now_ns, &places);

	if (code < 0)
		return code;
	rows = make_rows(&places, measures);
	if (!rows)
		return -ENOMEM;
	code = draw_layers(&d, layers, &places, rows);
	if (code < 0)
		return code;
	drawn.width = measures->width;
	drawn.height = rows[places.rows];
	drawn.size_bytes = places.size_bytes;
	drawn.layers = count;
	*ret_picture = drawn;
	drawn = (struct heat_picture){ 0 };
	return 0;
}

void heat_picture_free(struct heat_picture *p)
{
	free(p->tiles);
}

void heat_picture_strips(const struct heat_tile *tile,
			 void (*visit)(enum heat_age age, const struct heat_box *strip, void *user),
			 void *user)
{
	bool upright = tile->body.width >= tile->body.height;
	struct heat_box strip = tile->body;
	int64_t total = sum(tile->bytes);

	if (tile->body.width <= 0 || tile->body.height <= 0)
		return;
	for (enum heat_age age = HEAT_HOUR; age < HEAT_AGES; age++) {
		double share = total > 0 ? (double)tile->bytes[age] / (double)total : 0;

		if (share <= 0)
			continue;
		if (upright)
			strip.width = tile->body.width * share;
		else
			strip.height = tile->body.height * share;
		visit(age, &strip, user);
		if (upright)
			strip.x += strip.width;
		else
			strip.y += strip.height;
	}
}
