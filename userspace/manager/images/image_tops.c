/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_tops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancellation.h"
#include "layer/layer_walk.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/file_fold.h"
#include "manager/records/layer_sizes.h"
#include "manager/records/touched_files.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

void image_tops_free(struct image_tops *tops)
{
	for (size_t i = 0; i < tops->count; i++) {
		struct image_top *top = &tops->items[i];

		for (size_t k = 0; k < top->ref_count; k++)
			free(top->refs[k]);
		free(top->refs);
		free(top->key);
		free(top->layers);
	}
	free(tops->items);
	free(tops->layers);
	*tops = (struct image_tops){ 0 };
}

/* ---- copies, with the lock ---- */

static size_t find_layer(const struct hashmap *index, const struct image_tops *tops,
			 const struct layer *layer)
{
	const struct image_top_layer *found = hashmap_find(index, layer->name);

	return found ? (size_t)(found - tops->layers) : SIZE_MAX;
}

static int add_layer(struct hashmap *index, struct image_tops *tops, const struct layer *layer,
		     size_t *ret_at)
{
	struct image_top_layer *l = &tops->layers[tops->layer_count];

	*ret_at = find_layer(index, tops, layer);
	if (*ret_at != SIZE_MAX)
		return 0;
	*l = (struct image_top_layer){ .bytes = layer->lazy ? 0 : layer->allocated_bytes,
				       .file_bytes = layer->lazy ? 0 : layer->apparent_bytes,
				       .read_bytes = -1,
				       .last_read_ns = layer->access.last_ns,
				       .last_container_ns = layer->last_container_ns };
	memcpy(l->name, layer->name, sizeof(l->name));
	*ret_at = tops->layer_count;
	if (hashmap_insert(index, l->name, l) < 0)
		return -ENOMEM;
	tops->layer_count++;
	return 0;
}

static int add_layers(struct hashmap *index, struct image_tops *tops, const struct record *r,
		      struct image_top *top)
{
	size_t depth = 0;

	for (const struct record *at = r; at; at = at->parent)
		depth++;
	top->layers = calloc(depth + 1, sizeof(*top->layers));
	if (!top->layers)
		return -ENOMEM;
	for (; r; r = r->parent)
		if (add_layer(index, tops, r->layer, &top->layers[top->layer_count++]) < 0)
			return -ENOMEM;
	return 0;
}

static int add_refs(const struct record *r, struct image_top *top)
{
	top->refs = calloc(r->image_ref_count + 1, sizeof(*top->refs));
	if (!top->refs)
		return -ENOMEM;
	for (; top->ref_count < r->image_ref_count; top->ref_count++) {
		top->refs[top->ref_count] = strdup(r->image_refs[top->ref_count]);
		if (!top->refs[top->ref_count])
			return -ENOMEM;
	}
	return 0;
}

/* What a snapshot shows that is not committed is its parent's. */
static const struct record *chain_of(const struct record *r)
{
	return r->snapshot && r->snapshot->kind != SNAPSHOT_COMMITTED ? r->parent : r;
}

static int add_top(struct hashmap *index, struct image_tops *tops, const struct record *r)
{
	struct image_top *top = &tops->items[tops->count++];

	*top = (struct image_top){ .held = r->refs > 0,
				   .pinned = record_is_pinned(r),
				   .created_ns = r->created_ns };
	memcpy(top->id, r->id, sizeof(top->id));
	if (r->content)
		top->config = r->content->config;
	if (r->snapshot) {
		top->key = strdup(r->snapshot->key);
		if (!top->key)
			return -ENOMEM;
	} else if (add_refs(r, top) < 0) {
		return -ENOMEM;
	}
	return add_layers(index, tops, chain_of(r), top);
}

/* A layer of several images has the references of all of them: the image ends where the config is.
 */
static bool is_top(const struct record *r)
{
	return r->state == RECORD_LIVE &&
	       (r->snapshot || (r->image_ref_count > 0 && r->content && *r->content->config.text));
}

static int copy(struct manager *m, struct image_tops *tops)
{
	cleanup(hashmap_free) struct hashmap *index = hashmap_new();
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct record *r;
	size_t at = 0;

	tops->layers = calloc(record_graph_layer_count(locked->graph) + 1, sizeof(*tops->layers));
	tops->items = calloc(record_graph_count(locked->graph) + 1, sizeof(*tops->items));
	if (!index || !tops->layers || !tops->items)
		return -ENOMEM;
	while ((r = record_graph_next(locked->graph, &at)))
		if (is_top(r) && add_top(index, tops, r) < 0)
			return -ENOMEM;
	return 0;
}

/* ---- files that were read ---- */

static void add_file(struct touched_files *touched, const struct stat *st,
		     struct image_top_layer *l)
{
	struct touched_file *file;

	if (!S_ISREG(st->st_mode))
		return;
	file = touched_files_find(touched, st->st_ino);
	if (!file || file->found)
		return;
	file->found = true; /* once, whatever its names */
	l->read_bytes += st->st_size;
}

static int walk(int fd, struct touched_files *touched, const atomic_bool *cancelled,
		struct image_top_layer *l, struct error *e)
{
	const struct layer_walk_options options = { .directory = fd,
						    .tolerant = true,
						    .cancelled = cancelled };
	cleanup(layer_walk_free) struct layer_walk *w = NULL;
	struct layer_entry entry;
	int code = layer_walk_open(&options, &w, e);

	if (code < 0)
		return code;
	l->read_bytes = 0;
	while ((code = layer_walk_next(w, &entry, e)) == 1)
		add_file(touched, &entry.st, l);
	return code;
}

static int read_files(struct manager *m, const atomic_bool *cancelled, struct image_top_layer *l,
		      struct error *e)
{
	cleanup(touched_files_free) struct touched_files touched = { 0 };
	cleanup(close_fd) int fd = -EBADF;
	int code = touched_files_load(m, l->name, &touched, e);

	if (code < 0)
		return code;
	if (store_files_open_layer(m, l->name, &fd, NULL) < 0)
		return 0; /* it is gone, or lazy: not known */
	return walk(fd, &touched, cancelled, l, e);
}

int image_tops_gather(struct manager *m, bool with_files, const atomic_bool *cancelled,
		      struct image_tops *ret_tops, struct error *e)
{
	cleanup(image_tops_free) struct image_tops tops = { 0 };
	int code = layer_sizes_measure(m, cancelled, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	counter_fold_for_call(m, cancelled);
	code = with_files ? file_fold_for_call(m, cancelled, e) : 0;
	if (code < 0)
		return code;
	if (copy(m, &tops) < 0)
		return error_set(e, -ENOMEM, "out of memory to list the images");
	for (size_t i = 0; with_files && i < tops.layer_count; i++) {
		code = read_files(m, cancelled, &tops.layers[i], e);
		if (code < 0)
			return code;
	}
	*ret_tops = tops;
	tops = (struct image_tops){ 0 };
	return cancellation_check(cancelled, e);
}
