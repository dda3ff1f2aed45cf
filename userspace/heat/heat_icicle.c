/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_icicle.h"

#include <errno.h>
#include <string.h>

#include "base/vec.h"

struct node {
	const struct heat_layer *layer;
	size_t first_child, next; /* HEAT_NO_PARENT: none */
	size_t children, below; /* layers, with itself */
	int64_t own, span; /* bytes; what its subtree needs from left to right */
	bool counted; /* `span` is known */
};

struct icicle {
	const struct heat_measures *m;
	struct node *nodes;
	size_t count, roots; /* the first root */
	double scale; /* units for a byte */
	unsigned rows_max;
	int64_t now_ns;
	struct heat_places places;
};

/* ---- the forest ---- */

static void link_nodes(struct icicle *c)
{
	for (size_t i = c->count; i-- > 0;) {
		struct node *n = &c->nodes[i];
		size_t parent = n->layer->parent;
		size_t *first = parent == HEAT_NO_PARENT ? &c->roots
							 : &c->nodes[parent].first_child;

		n->next = *first;
		*first = i;
		if (parent != HEAT_NO_PARENT)
			c->nodes[parent].children++;
	}
}

/* Adds each node to its parent once all that is on top of it was added, so no recursion is needed,
 * and a circle is found: its nodes are never added. */
static int sum_up(struct icicle *c)
{
	cleanup(free_ptr) size_t *waiting = calloc(c->count + 1, sizeof(*waiting));
	cleanup(free_ptr) int64_t *above = calloc(c->count + 1, sizeof(*above));
	size_t added = 0;

	if (!waiting || !above)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++)
		waiting[i] = c->nodes[i].children;
	for (size_t i = 0; i < c->count; i++) {
		for (size_t at = i; waiting[at] == 0 && !c->nodes[at].counted;) {
			struct node *n = &c->nodes[at];
			size_t parent = n->layer->parent;

			n->counted = true;
			n->span = n->own > above[at] ? n->own : above[at];
			n->below++;
			added++;
			if (parent == HEAT_NO_PARENT)
				break;
			above[parent] += n->span;
			c->nodes[parent].below += n->below;
			waiting[parent]--;
			at = parent;
		}
	}
	return added == c->count ? 0 : -EINVAL;
}

static int build(struct icicle *c, const struct heat_layer *layers, size_t count)
{
	c->nodes = calloc(count + 1, sizeof(*c->nodes));
	if (!c->nodes)
		return -ENOMEM;
	c->count = count;
	c->roots = HEAT_NO_PARENT;
	for (size_t i = 0; i < count; i++) {
		const struct heat_layer *l = &layers[i];

		if (l->parent != HEAT_NO_PARENT && (l->parent >= count || l->parent == i))
			return -EINVAL;
		c->nodes[i] = (struct node){ .layer = l,
					     .first_child = HEAT_NO_PARENT,
					     .own = l->size_bytes > 0 ? l->size_bytes : 0 };
		c->places.size_bytes += c->nodes[i].own;
	}
	link_nodes(c);
	return sum_up(c);
}

/* ---- places ---- */

static struct heat_place *add_place(struct icicle *c, size_t layer, double x, unsigned row)
{
	struct heat_places *p = &c->places;
	struct heat_place *items =
		vec_reserve(p->items, &p->capacity, p->count + 1, sizeof(*items));

	if (!items)
		return NULL;
	p->items = items;
	items[p->count] = (struct heat_place){ .layer = layer, .x = x, .row = row };
	if (row + 1 > p->rows)
		p->rows = row + 1;
	return &items[p->count++];
}

static void merge(const struct icicle *c, struct heat_place *p, size_t layer)
{
	const struct node *n = &c->nodes[layer];

	p->merged++;
	p->bytes[heat_age_of(n->layer->last_read_ns, c->now_ns)] += n->own;
}

/* The layer and all that is on top of it. */
static void merge_tree(const struct icicle *c, struct heat_place *p, size_t top)
{
	for (size_t at = top;;) {
		merge(c, p, at);
		if (c->nodes[at].first_child != HEAT_NO_PARENT) {
			at = c->nodes[at].first_child;
			continue;
		}
		while (at != top && c->nodes[at].next == HEAT_NO_PARENT)
			at = c->nodes[at].layer->parent;
		if (at == top)
			return;
		at = c->nodes[at].next;
	}
}

struct sibling {
	size_t node;
	int64_t span;
	const char *id;
};

/* Wide ones first; those of the same width by id, so that the order of the input does not matter.
 */
static int by_span(const void *a, const void *b)
{
	const struct sibling *x = a, *y = b;

	if (x->span != y->span)
		return x->span > y->span ? -1 : 1;
	return strcmp(x->id, y->id);
}

static struct sibling *sort_siblings(const struct icicle *c, size_t first, size_t *ret_count)
{
	struct sibling *all;
	size_t count = 0;

	for (size_t i = first; i != HEAT_NO_PARENT; i = c->nodes[i].next)
		count++;
	all = calloc(count + 1, sizeof(*all));
	*ret_count = 0;
	for (size_t i = first; all && i != HEAT_NO_PARENT; i = c->nodes[i].next)
		all[(*ret_count)++] =
			(struct sibling){ i, c->nodes[i].span, c->nodes[i].layer->id };
	if (all)
		qsort(all, count, sizeof(*all), by_span);
	return all;
}

static int place_siblings(struct icicle *c, size_t first, double x, double space, unsigned row);

/* A run of layers that are too narrow, each the only one on top of the one below, has one place.
 * Returns the last layer of the run. */
static size_t merge_run(struct icicle *c, struct heat_place *p, size_t layer)
{
	for (;;) {
		const struct node *n = &c->nodes[layer];
		size_t next = n->first_child;

		merge(c, p, layer);
		if ((double)n->own * c->scale >= c->m->min_width || n->children != 1 ||
		    (double)c->nodes[next].own * c->scale >= c->m->min_width)
			return layer;
		layer = next;
	}
}

static int place_layer(struct icicle *c, size_t layer, double x, double space, unsigned row)
{
	struct heat_place *p = add_place(c, layer, x, row);
	size_t last;
	int64_t bytes = 0;

	if (!p)
		return -ENOMEM;
	p->space = space;
	if (row + 1 == c->rows_max && c->nodes[layer].children > 0) {
		merge_tree(c, p, layer);
		p->width = (double)c->nodes[layer].span * c->scale;
		return 0;
	}
	last = merge_run(c, p, layer);
	for (size_t i = 0; i < HEAT_AGES; i++)
		bytes += p->bytes[i];
	p->width = (double)bytes * c->scale;
	return place_siblings(c, c->nodes[last].first_child, x, space, row + 1);
}

/* From the widest to the first one that is too narrow; that one and those after it are merged. */
static int place_siblings(struct icicle *c, size_t first, double x, double space, unsigned row)
{
	size_t count, shown = 0;
	cleanup(free_ptr) struct sibling *all = sort_siblings(c, first, &count);
	double end = x + space;
	struct heat_place *p;

	if (!all)
		return -ENOMEM;
	for (; shown < count; shown++) {
		double width = (double)all[shown].span * c->scale;
		int code;

		if (width < c->m->min_width && count > 1)
			break;
		code = place_layer(c, all[shown].node, x, shown + 1 < count ? width : end - x, row);
		if (code < 0)
			return code;
		x += width;
	}
	if (shown == count)
		return 0;
	p = add_place(c, all[shown].node, x, row);
	if (!p)
		return -ENOMEM;
	for (; shown < count; shown++) {
		p->width += (double)all[shown].span * c->scale;
		merge_tree(c, p, all[shown].node);
	}
	p->space = end - x;
	return 0;
}

/* ---- the whole ---- */

static void icicle_free(struct icicle *c)
{
	free(c->nodes);
	heat_places_free(&c->places);
}
DEFINE_CLEANUP_VALUE(struct icicle, icicle_free)

int heat_icicle_make(const struct heat_layer *layers, size_t count, const struct heat_measures *m,
		     int64_t now_ns, struct heat_places *ret_places)
{
	cleanup(icicle_free) struct icicle c = { .m = m, .now_ns = now_ns };
	int code = build(&c, layers, count);
	int64_t total = 0;

	if (code < 0)
		return code;
	for (size_t i = c.roots; i != HEAT_NO_PARENT; i = c.nodes[i].next)
		total += c.nodes[i].span;
	c.scale = total > 0 ? m->width / (double)total : 0;
	c.rows_max = (unsigned)(m->height / m->row_min);
	if (c.rows_max < 1)
		c.rows_max = 1;
	code = place_siblings(&c, c.roots, 0, m->width, 0);
	if (code < 0)
		return code;
	*ret_places = c.places;
	c.places = (struct heat_places){ 0 };
	return 0;
}

void heat_places_free(struct heat_places *p)
{
	free(p->items);
}
