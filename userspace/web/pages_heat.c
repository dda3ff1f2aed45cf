/* SPDX-License-Identifier: Apache-2.0 */
#include "web/pages_heat.h"

#include <errno.h>

#include "base/hashmap.h"
#include "heat/heat_svg.h"

#define DEPTH 3

int pages_heat_files(const struct page_request *r, const char *id,
		     struct record_file_list *ret_files, struct error *e)
{
	const struct record_files_query query = { .id = id,
						  .which = RECORD_FILES_ALL,
						  .cancelled = r->request->cancelled };

	return record_files(r->sources->manager, &query, ret_files, e);
}

static bool is_counted(const struct page_request *r, const struct record_view *v)
{
	return r->info->backend != USAGE_BACKEND_NONE && !v->uncounted;
}

static int64_t file_last_read(const struct record_file_view *f, bool known)
{
	if (f->last_access_ns > 0)
		return f->last_access_ns;
	if (f->opens > 0 || f->read_bytes > 0)
		return 1; /* long ago: when is not known */
	return known ? 0 : HEAT_NOT_KNOWN;
}

static int make_tree(const struct page_request *r, const struct record_view *v,
		     const struct record_file_list *files, struct heat_tree **ret_tree)
{
	cleanup(heat_tree_free) struct heat_tree *t = heat_tree_new(DEPTH, r->status.now_ns);
	bool known = is_counted(r, v) && files->complete_since_ns == 0;
	int64_t total = 0;

	if (!t)
		return -ENOMEM;
	for (size_t i = 0; i < files->count; i++)
		total += files->files[i].path ? files->files[i].size_bytes : 0;
	for (size_t i = 0; i < files->count; i++) {
		const struct record_file_view *f = &files->files[i];

		if (f->path && heat_tree_add(t, f->path, f->size_bytes, file_last_read(f, known),
					     total / 100) < 0)
			return -ENOMEM;
	}
	*ret_tree = take_ptr(t);
	return 0;
}

static struct heat_layer make_layer(const struct page_request *r, const struct record_view *v)
{
	int64_t last_ns = v->layer.access.last_ns;

	return (struct heat_layer){
		.id = v->record.id,
		.description = v->record.description,
		.size_bytes = v->layer.lazy ? v->size_bytes : v->layer.allocated_bytes,
		.last_read_ns = last_ns > 0 || is_counted(r, v) ? last_ns : HEAT_NOT_KNOWN,
		.pinned = v->record.pinned,
		.in_use = v->in_use,
		.parent = HEAT_NO_PARENT
	};
}

/* A size that was never measured is that of the files. */
static void use_files_size(struct heat_layer *layer)
{
	const struct heat_folder *root = heat_tree_root(layer->tree);

	if (layer->size_bytes > 0)
		return;
	layer->size_bytes = 0;
	for (size_t age = 0; age < HEAT_AGES; age++)
		layer->size_bytes += root->bytes[age];
}

int pages_heat_draw_layer(const struct page_request *r, const struct record_view *v,
			  const struct record_file_list *files, struct pages_heat_drawn *ret_drawn,
			  struct error *e)
{
	struct heat_measures m = heat_svg_measures(DEPTH);
	int code;

	ret_drawn->layer = make_layer(r, v);
	code = make_tree(r, v, files, &ret_drawn->layer.tree);
	if (code == 0) {
		use_files_size(&ret_drawn->layer);
		code = heat_picture_make(&ret_drawn->layer, 1, &m, r->status.now_ns,
					 &ret_drawn->picture);
	}
	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

void pages_heat_drawn_free(struct pages_heat_drawn *drawn)
{
	heat_picture_free(&drawn->picture);
	if (drawn->layer.tree)
		heat_tree_free(drawn->layer.tree);
}

/* ---- a chain, and the store ---- */

/* Records and their layers, in the same order. */
struct chain {
	struct record_view *views;
	size_t count;
	struct heat_layer *layers;
	size_t layer_count;
	bool incomplete;
};

static void chain_free(struct chain *c)
{
	for (size_t i = 0; i < c->layer_count; i++)
		if (c->layers[i].tree)
			heat_tree_free(c->layers[i].tree);
	free(c->layers);
	record_list_free(c->views, c->count);
}
DEFINE_CLEANUP_VALUE(struct chain, chain_free)

/* Records of one layer, such as twins, are one. */
static int map_views(const struct chain *c, struct hashmap *by_id, struct hashmap *by_layer)
{
	int code = 0;

	for (size_t i = 0; i < c->count && code == 0; i++) {
		const struct record_view *v = &c->views[i];
		void *index = hashmap_find(by_layer, v->layer.name);

		if (!index) {
			/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
			index = (void *)(uintptr_t)(i + 1);
			code = hashmap_insert(by_layer, v->layer.name, index);
		}
		if (code == 0)
			code = hashmap_insert(by_id, v->record.id, index);
	}
	return code;
}

static int make_layers(const struct page_request *r, struct chain *c)
{
	cleanup(hashmap_free) struct hashmap *by_id = hashmap_new(), *by_layer = hashmap_new();
	cleanup(free_ptr) size_t *place = calloc(c->count + 1, sizeof(*place));

	c->layers = calloc(c->count + 1, sizeof(*c->layers));
	if (!by_id || !by_layer || !place || !c->layers || map_views(c, by_id, by_layer) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++) {
		if ((size_t)(uintptr_t)hashmap_find(by_id, c->views[i].record.id) != i + 1)
			continue; /* a layer that another record has, too */
		place[i] = c->layer_count;
		c->layers[c->layer_count++] = make_layer(r, &c->views[i]);
	}
	for (size_t i = 0; i < c->count; i++) {
		void *parent = *c->views[i].parent ? hashmap_find(by_id, c->views[i].parent) : NULL;

		if (parent && c->layers[place[i]].id == c->views[i].record.id &&
		    (size_t)(uintptr_t)parent != i + 1)
			c->layers[place[i]].parent = place[(size_t)(uintptr_t)parent - 1];
	}
	return 0;
}

/* The record and all below it: their ids, from a list of all links. */
static int add_view(struct chain *c, struct record_view *view)
{
	struct record_view *grown = reallocarray(c->views, c->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	c->views = grown;
	grown[c->count++] = *view;
	*view = (struct record_view){ 0 };
	return 0;
}

static int list_chain(const struct page_request *r, const char *id, struct chain *c,
		      struct error *e)
{
	char next[RECORD_ID_LENGTH + 1];
	int code = 0;

	while (id && code == 0) {
		const struct record_query query = { .ids = &id,
						    .id_count = 1,
						    .cancelled = r->request->cancelled };
		struct record_view *views = NULL;
		size_t count = 0;

		code = record_list(r->sources->manager, &query, &views, &count, e);
		if (code < 0)
			return code;
		id = NULL;
		if (count == 1 && *views->parent) {
			memcpy(next, views->parent, sizeof(next));
			id = next;
		}
		if (count == 1)
			code = add_view(c, views);
		record_list_free(views, code == 0 ? 0 : count);
	}
	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

static int list_all(const struct page_request *r, struct chain *c, struct error *e)
{
	const struct record_query query = { .cancelled = r->request->cancelled };

	return record_list(r->sources->manager, &query, &c->views, &c->count, e);
}

static int add_folders(const struct page_request *r, struct chain *c, struct error *e)
{
	for (size_t i = 0; i < c->layer_count; i++) {
		const struct record_view *v = &c->views[i]; /* no layer of a chain comes twice */
		cleanup(record_file_list_free) struct record_file_list files = { 0 };
		struct error none = { 0 };
		int code;

		if (v->layer.lazy)
			continue;
		code = pages_heat_files(r, c->layers[i].id, &files, &none);
		if (code == -ENOENT)
			continue; /* it is gone meanwhile */
		if (code < 0)
			return error_set(e, code, "%s", none.text);
		c->incomplete |= files.complete_since_ns != 0;
		if (make_tree(r, v, &files, &c->layers[i].tree) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		use_files_size(&c->layers[i]);
	}
	return 0;
}

static void write_page(const struct page_request *r, const char *id, const struct chain *c,
		       const struct heat_picture *picture, struct strbuf *out)
{
	const struct heat_caption caption = { .subject = *id ? id : "All layers",
					      .backend = r->status.backend,
					      .now_ns = r->status.now_ns,
					      .incomplete = c->incomplete || r->status.lost > 0 };

	page_begin(out, &r->status, *id ? "Heat of a record and all below it" : "Heat", "/heat");
	page_note(out,
		  "The width of a layer and the area of a folder are its bytes. Each layer lies "
		  "below its parent. Click to enlarge, Escape for all of it.");
	heat_svg_write(out, picture, &caption, false);
	page_end(out);
}

int pages_heat_write(const struct page_request *r, const char *id, struct strbuf *out,
		     struct error *e)
{
	cleanup(chain_free) struct chain c = { 0 };
	cleanup(heat_picture_free) struct heat_picture picture = { 0 };
	struct heat_measures m = heat_svg_measures(*id ? DEPTH : 0);
	int code = *id ? list_chain(r, id, &c, e) : list_all(r, &c, e);

	if (code < 0)
		return code;
	code = make_layers(r, &c);
	if (code < 0)
		return error_set(e, code, "out of memory");
	code = *id ? add_folders(r, &c, e) : 0;
	if (code < 0)
		return code;
	code = heat_picture_make(c.layers, c.layer_count, &m, r->status.now_ns, &picture);
	if (code < 0)
		return error_set(e, code, "cannot draw the picture");
	write_page(r, id, &c, &picture, out);
	return 0;
}
