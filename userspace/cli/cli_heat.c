/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_heat.h"

#include <errno.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/vec.h"

#define CHAIN_MAX 1000

/* ---- layers ---- */

static int64_t last_read(const struct cli_heat *heat, const Varve__V1__Record *r)
{
	if (r->access && r->access->last_read_ns > 0)
		return r->access->last_read_ns;
	return strcmp(heat->info->backend, "none") != 0 && cli_records_access_known(r)
		       ? 0
		       : HEAT_NOT_KNOWN;
}

static struct heat_layer make_layer(const struct cli_heat *heat, const Varve__V1__Record *r)
{
	return (struct heat_layer){ .id = r->id,
				    .description = r->description,
				    .size_bytes = r->size,
				    .last_read_ns = last_read(heat, r),
				    .pinned = r->pinned,
				    .in_use = r->in_use,
				    .parent = HEAT_NO_PARENT };
}

/* ---- folders ---- */

static int64_t file_last_read(const Varve__V1__File *file, bool complete)
{
	if (file->last_access_ns > 0)
		return file->last_access_ns;
	if (file->opens > 0 || file->read_bytes > 0)
		return 1; /* long ago: when is not known */
	return complete ? 0 : HEAT_NOT_KNOWN;
}

struct walk {
	struct heat_tree *tree;
	struct heat_layer *layer;
	bool counted;
	bool incomplete;
	int64_t total;
};

static int add_files(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__FileBatch *batch = (const Varve__V1__FileBatch *)reply;
	struct walk *w = user;
	bool complete = w->counted && batch->complete_since_ns == 0;

	w->incomplete |= batch->complete_since_ns != 0;
	for (size_t i = 0; i < batch->n_files; i++) {
		const Varve__V1__File *file = batch->files[i];
		int64_t big = w->layer->size_bytes > 0 ? w->layer->size_bytes / 100 : 1 << 20;

		if (file->deleted)
			continue;
		if (file->size > 0)
			w->total += file->size;
		if (heat_tree_add(w->tree, file->path, file->size, file_last_read(file, complete),
				  big) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int fetch_folders(struct cli *c, struct cli_heat *heat, struct heat_layer *layer,
			 struct error *e)
{
	Varve__V1__FilesRequest request = VARVE__V1__FILES_REQUEST__INIT;
	struct walk w = { .layer = layer, .counted = layer->last_read_ns != HEAT_NOT_KNOWN };
	int code;

	w.tree = layer->tree = heat_tree_new(heat->depth, heat->now_ns);
	if (!layer->tree)
		return error_set(e, -ENOMEM, "out of memory");
	request.id = (char *)layer->id;
	request.all = true;
	code = cli_call_each(c, "Files", &request.base, &varve__v1__file_batch__descriptor,
			     add_files, &w, e);
	if (code == -ENOENT) {
		heat_tree_free(take_ptr(layer->tree)); /* it is gone meanwhile */
		return 0;
	}
	heat->incomplete |= w.incomplete;
	if (layer->size_bytes < 0)
		layer->size_bytes = w.total;
	return code;
}

static int by_size(const void *a, const void *b)
{
	const struct heat_layer *x = *(struct heat_layer *const *)a;
	const struct heat_layer *y = *(struct heat_layer *const *)b;

	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int fetch_all_folders(struct cli *c, struct cli_heat *heat, const bool *lazy,
			     struct error *e)
{
	cleanup(free_ptr) struct heat_layer **sorted = calloc(heat->count + 1, sizeof(*sorted));
	size_t count = 0;

	if (!sorted)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < heat->count; i++)
		if (!lazy[i])
			sorted[count++] = &heat->layers[i];
	qsort(sorted, count, sizeof(struct heat_layer *), by_size);
	for (size_t i = 0; i < count && i < CLI_HEAT_WALKED_MAX; i++) {
		int code = fetch_folders(c, heat, sorted[i], e);

		if (code < 0)
			return code;
	}
	return 0;
}

/* ---- records ---- */

static int fetch_records(struct cli *c, struct cli_heat *heat, char *id, struct error *e)
{
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	struct cli_records *grown =
		reallocarray(heat->records, heat->records_count + 1, sizeof(*grown));

	if (!grown)
		return error_set(e, -ENOMEM, "out of memory");
	heat->records = grown;
	grown[heat->records_count] = (struct cli_records){ 0 };
	request.disk_usage = true; /* sizes that are not known are measured */
	if (id) {
		request.ids = &id;
		request.n_ids = 1;
	}
	return cli_records_fetch(c, &request, &grown[heat->records_count++], e);
}

/* From the leaf to its base. */
static int fetch_chain(struct cli *c, struct cli_heat *heat, const char *top, struct error *e)
{
	char *id = (char *)top;

	while (id && heat->records_count < CHAIN_MAX) {
		const struct cli_records *found;
		int code = fetch_records(c, heat, id, e);

		if (code < 0)
			return code;
		found = &heat->records[heat->records_count - 1];
		id = found->count == 1 && found->items[0]->n_parents > 0
			     ? found->items[0]->parents[0]
			     : NULL;
	}
	return 0;
}

/* A twin is there under its own id, too, if the list has both. */
static int map_id(struct hashmap *by_id, const char *id, void *index)
{
	int code = hashmap_insert(by_id, id, index);

	return code == -EEXIST ? 0 : code;
}

/* Records of one layer, such as twins, are one. By id and by layer, with the index plus one. */
static int map_records(const struct cli_heat *heat, const Varve__V1__Record **kept,
		       struct hashmap *by_id, struct hashmap *by_layer, size_t *ret_count)
{
	size_t count = 0;

	for (size_t i = 0; i < heat->records_count; i++) {
		const struct cli_records *list = &heat->records[i];

		for (size_t j = 0; j < list->count; j++) {
			const Varve__V1__Record *r = list->items[j];
			void *index = hashmap_find(by_layer, r->layer);
			int code = 0;

			if (!index) {
				kept[count] = r;
				/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
				index = (void *)(uintptr_t)++count;
				code = hashmap_insert(by_layer, r->layer, index);
			}
			if (code == 0)
				code = map_id(by_id, r->id, index);
			if (code == 0 && *r->twin) /* the list has one of the two */
				code = map_id(by_id, r->twin, index);
			if (code < 0)
				return code;
		}
	}
	*ret_count = count;
	return 0;
}

static size_t count_records(const struct cli_heat *heat)
{
	size_t count = 0;

	for (size_t i = 0; i < heat->records_count; i++)
		count += heat->records[i].count;
	return count;
}

static size_t parent_of(const Varve__V1__Record *r, const struct hashmap *by_id, size_t self)
{
	void *index = r->n_parents > 0 ? hashmap_find(by_id, r->parents[0]) : NULL;
	size_t parent = index ? (size_t)(uintptr_t)index - 1 : HEAT_NO_PARENT;

	return parent == self ? HEAT_NO_PARENT : parent;
}

static int make_layers(struct cli_heat *heat, bool **ret_lazy)
{
	size_t room = count_records(heat) + 1;
	cleanup(hashmap_free) struct hashmap *by_id = hashmap_new();
	cleanup(hashmap_free) struct hashmap *by_layer = hashmap_new();
	cleanup(free_ptr) const Varve__V1__Record **kept = calloc(room, sizeof(*kept));
	cleanup(free_ptr) bool *lazy = calloc(room, sizeof(*lazy));

	heat->layers = calloc(room, sizeof(*heat->layers));
	if (!by_id || !by_layer || !kept || !lazy || !heat->layers ||
	    map_records(heat, kept, by_id, by_layer, &heat->count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < heat->count; i++) {
		heat->layers[i] = make_layer(heat, kept[i]);
		heat->layers[i].parent = parent_of(kept[i], by_id, i);
		lazy[i] = kept[i]->lazy;
	}
	*ret_lazy = take_ptr(lazy);
	return 0;
}

int cli_heat_fetch(struct cli *c, const char *top, struct cli_heat *heat, struct error *e)
{
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;
	cleanup(free_ptr) bool *lazy = NULL;
	int code;

	heat->info = cli_call_one(c, "Info", &empty.base, &varve__v1__info_reply__descriptor, e);
	if (!heat->info)
		return e->code;
	heat->incomplete = heat->info->lost > 0;
	code = top ? fetch_chain(c, heat, top, e) : fetch_records(c, heat, NULL, e);
	if (code < 0)
		return code;
	if (make_layers(heat, &lazy) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return heat->depth > 0 ? fetch_all_folders(c, heat, lazy, e) : 0;
}

void cli_heat_free(struct cli_heat *heat)
{
	for (size_t i = 0; i < heat->count; i++)
		if (heat->layers[i].tree)
			heat_tree_free(heat->layers[i].tree);
	free(heat->layers);
	for (size_t i = 0; i < heat->records_count; i++)
		cli_records_free(&heat->records[i]);
	free(heat->records);
	if (heat->info)
		varve__v1__info_reply__free_unpacked(heat->info, NULL);
}
