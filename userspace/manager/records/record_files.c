/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was accessed in one record's layer, by file, and what never was: names come from a walk of
 * the layer.
 */
#include "manager/records/record_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "layer/layer_walk.h"
#include "base/vec.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "manager/records/touched_files.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/file_fold.h"

struct file_list {
	struct record_file_view *files;
	size_t count, capacity;
};

static int add_file(struct file_list *list, struct record_file_view *file)
{
	struct record_file_view *files =
		vec_reserve(list->files, &list->capacity, list->count + 1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	list->files = files;
	list->files[list->count++] = *file;
	return 0;
}

struct file_search {
	struct touched_files *touched;
	struct file_list *list;
	enum record_files_which which;
	const atomic_bool *cancelled;
};

/* The end of a path that is too long to be used: deep trees must not cost the square of their
 * depth. */
static const char *shown_path(const char *path)
{
	size_t length = strlen(path);
	const char *end = length < PATH_MAX ? path : strchr(path + length - PATH_MAX + 1, '/');

	return end ? end : path + length - PATH_MAX + 1;
}

static int look_at_file(struct file_search *w, const char *path, const struct stat *st)
{
	struct touched_file *seen = touched_files_find(w->touched, st->st_ino);
	struct record_file_view file = { .size_bytes = st->st_size, .inode = st->st_ino };

	if (seen)
		seen->found = true;
	if (w->which != RECORD_FILES_ALL && (w->which == RECORD_FILES_NEVER_READ) == (seen != NULL))
		return 0;
	if (seen) {
		file.opens = seen->opens;
		file.read_bytes = seen->read_bytes;
		file.mapped_bytes = seen->mapped_bytes;
		file.last_access_ns = seen->last_access_ns;
	}
	file.path = strdup(shown_path(path));
	if (!file.path || add_file(w->list, &file) < 0) {
		free(file.path);
		return -ENOMEM;
	}
	return 0;
}

static int walk_layer(struct file_search *w, int root, struct error *e)
{
	const struct layer_walk_options options = {
		.directory = root,
		.tolerant = true,
		.cancelled = w->cancelled,
	};
	cleanup(layer_walk_free) struct layer_walk *walk = NULL;
	struct layer_entry entry;
	int code = layer_walk_open(&options, &walk, e);

	if (code < 0)
		return code;
	while ((code = layer_walk_next(walk, &entry, e)) == 1) {
		if (!S_ISREG(entry.st.st_mode))
			continue;
		code = look_at_file(w, entry.path, &entry.st);
		if (code < 0)
			return error_set(e, code, "out of memory");
	}
	return code;
}

static int by_path(const void *a, const void *b)
{
	const struct record_file_view *x = a, *y = b;

	if (!x->path || !y->path)
		return !x->path - !y->path;
	return strcmp(x->path, y->path);
}

static int by_opens(const void *a, const void *b)
{
	const struct record_file_view *x = a, *y = b;

	if (x->opens != y->opens)
		return x->opens > y->opens ? -1 : 1;
	if (x->read_bytes != y->read_bytes)
		return x->read_bytes > y->read_bytes ? -1 : 1;
	return by_path(a, b);
}

static int by_size(const void *a, const void *b)
{
	const struct record_file_view *x = a, *y = b;

	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return by_path(a, b);
}

static void free_files(struct record_file_view *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(files[i].path);
	free(files);
}

void record_file_list_free(struct record_file_list *list)
{
	free_files(list->files, list->count);
}

static int list_files(struct manager *m, const char *layer, const struct record_files_query *query,
		      struct touched_files *touched, struct file_list *list, struct error *e)
{
	struct file_search w = { .touched = touched,
				 .list = list,
				 .which = query->which,
				 .cancelled = query->cancelled };
	cleanup(close_fd) int root = -EBADF;
	int code = store_files_open_layer(m, layer, &root, e);

	if (code < 0)
		return code;
	code = walk_layer(&w, root, e);
	if (code < 0)
		return error_context(e, "walk layer %s", layer);
	for (size_t i = 0; code == 0 && w.which != RECORD_FILES_NEVER_READ && i < touched->count;
	     i++) {
		const struct touched_file *t = &touched->files[i];
		struct record_file_view gone = { .inode = t->inode,
						 .opens = t->opens,
						 .read_bytes = t->read_bytes,
						 .mapped_bytes = t->mapped_bytes,
						 .last_access_ns = t->last_access_ns };

		if (!t->found)
			code = add_file(list, &gone);
	}
	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

static void file_list_free(struct file_list *list)
{
	free_files(list->files, list->count);
}

DEFINE_CLEANUP_VALUE(struct file_list, file_list_free)

static int find_layer(struct manager *m, const char *id, char ret_layer[LAYER_NAME_LENGTH + 1],
		      struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = record_graph_resolve(locked->graph, id, &r, e);

	if (code < 0)
		return code;
	if (r->layer->lazy)
		return error_set(e, -EINVAL,
				 "record %s is lazy: it has no files yet (varve extract %.12s)",
				 r->id, r->id);
	memcpy(ret_layer, r->layer->name, LAYER_NAME_LENGTH + 1);
	return 0;
}

int record_files(struct manager *m, const struct record_files_query *query,
		 struct record_file_list *ret_list, struct error *e)
{
	static int (*const orders[])(const void *a, const void *b) = {
		[RECORD_FILES_TOUCHED] = by_path,
		[RECORD_FILES_HOT] = by_opens,
		[RECORD_FILES_NEVER_READ] = by_size,
		[RECORD_FILES_ALL] = by_path,
	};
	cleanup(touched_files_free) struct touched_files touched = { 0 };
	cleanup(file_list_free) struct file_list list = { 0 };
	char layer[LAYER_NAME_LENGTH + 1];
	int code;

	code = find_layer(m, query->id, layer, e);
	if (code < 0)
		return code;
	counter_fold_for_call(m, query->cancelled);
	code = file_fold_for_call(m, query->cancelled, e);
	if (code < 0)
		return code;
	code = touched_files_load(m, layer, &touched, e);
	if (code < 0)
		return code;
	code = list_files(m, layer, query, &touched, &list, e);
	if (code < 0)
		return code;
	if (list.count)
		qsort(list.files, list.count, sizeof(*list.files), orders[query->which]);
	while (query->limit && list.count > query->limit)
		free(list.files[--list.count].path);
	*ret_list = (struct record_file_list){ .files = take_ptr(list.files),
					       .count = list.count,
					       .lost = touched.state.lost,
					       .complete_since_ns = touched.state.complete_since_ns,
					       .sees_mapped =
						       usage_sees(m->usage, USAGE_MAPPED_BYTES) };
	list.count = 0;
	return 0;
}
