/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/numbers/duplicate_sample.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/regular_file.h"
#include "base/vec.h"
#include "layer/layer_walk.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

#define FILE_MIN_BYTES (16 << 10) /* smaller ones are many, and save little */
#define FILES_MAX 100000 /* in memory */
#define READ_BYTES (128 << 10)

struct sampled_layer {
	char name[LAYER_NAME_LENGTH + 1], record[RECORD_ID_LENGTH + 1];
	int64_t size_bytes;
};

struct sampled_file {
	int64_t size_bytes;
	size_t layer;
	char *path;
	struct digest digest;
};

struct sampling {
	struct manager *m;
	struct sampled_layer *layers;
	struct sampled_file *files;
	size_t layer_count, file_count, file_capacity;
	int64_t walk_until_ns, until_ns, bytes_left;
	const atomic_bool *cancelled;
	struct duplicate_sample *result;
};

static void sampling_free(struct sampling *s)
{
	for (size_t i = 0; i < s->file_count; i++)
		free(s->files[i].path);
	free(s->files);
	free(s->layers);
}
DEFINE_CLEANUP_VALUE(struct sampling, sampling_free)

void duplicate_sample_free(struct duplicate_sample *s)
{
	for (size_t i = 0; i < s->largest_count; i++)
		free(s->largest[i].path);
	s->largest_count = 0;
}

/* ---- which files there are ---- */

static int by_layer_size(const void *a, const void *b)
{
	const struct sampled_layer *x = a, *y = b;

	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int list_layers(struct sampling *s)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(s->m);
	const struct layer *l;

	s->layers = calloc(record_graph_layer_count(locked->graph) + 1, sizeof(*s->layers));
	if (!s->layers)
		return -ENOMEM;
	for (size_t at = 0; (l = record_graph_next_layer(locked->graph, &at));) {
		struct sampled_layer *sampled = &s->layers[s->layer_count];

		if (l->lazy || !layer_is_committed(l))
			continue;
		memcpy(sampled->name, l->name, sizeof(sampled->name));
		sampled->size_bytes = l->allocated_bytes;
		for (const struct record *r = l->first_owner; r; r = r->next_owner)
			if (record_is_listed(r))
				memcpy(sampled->record, r->id, sizeof(sampled->record));
		s->layer_count++;
	}
	qsort(s->layers, s->layer_count, sizeof(*s->layers), by_layer_size);
	s->result->layers = s->layer_count;
	return 0;
}

static int add_file(struct sampling *s, size_t layer, const struct layer_entry *entry)
{
	struct sampled_file *files =
		vec_reserve(s->files, &s->file_capacity, s->file_count + 1, sizeof(*files));
	char *path = strdup(entry->path);

	if (files)
		s->files = files;
	if (!files || !path) {
		free(path);
		return -ENOMEM;
	}
	s->files[s->file_count++] = (struct sampled_file){ .size_bytes = entry->st.st_size,
							   .layer = layer,
							   .path = path };
	return 0;
}

static bool walk_is_over(const struct sampling *s)
{
	return s->file_count >= FILES_MAX || clock_monotonic_ns() >= s->walk_until_ns;
}

/* 0, also for a layer that is gone or changes. */
static int walk_layer(struct sampling *s, size_t layer, struct error *e)
{
	cleanup(close_fd) int root = -EBADF;
	struct layer_walk_options options = { .tolerant = true, .cancelled = s->cancelled };
	cleanup(layer_walk_free) struct layer_walk *walk = NULL;
	struct layer_entry entry;
	struct error gone = { 0 };

	if (store_files_open_layer(s->m, s->layers[layer].name, &root, &gone) < 0)
		return 0;
	options.directory = root;
	if (layer_walk_open(&options, &walk, &gone) < 0)
		return 0;
	while (!walk_is_over(s) && layer_walk_next(walk, &entry, &gone) == 1)
		if (S_ISREG(entry.st.st_mode) && entry.st.st_size >= FILE_MIN_BYTES &&
		    add_file(s, layer, &entry) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return cancellation_check(s->cancelled, e);
}

static int walk_layers(struct sampling *s, struct error *e)
{
	for (size_t i = 0; i < s->layer_count; i++) {
		int code;

		if (walk_is_over(s)) {
			s->result->complete = false;
			break;
		}
		code = walk_layer(s, i, e);
		if (code < 0)
			return code;
		s->result->layers_walked++;
	}
	s->result->complete &= !walk_is_over(s);
	s->result->files = s->file_count;
	return 0;
}

/* ---- which of them are the same ---- */

static int by_size(const void *a, const void *b)
{
	const struct sampled_file *x = a, *y = b;

	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return x->layer != y->layer ? (x->layer < y->layer ? -1 : 1) : strcmp(x->path, y->path);
}

static int by_digest(const void *a, const void *b)
{
	const struct sampled_file *x = a, *y = b;
	int order = strcmp(x->digest.text, y->digest.text);

	return order ? order : by_size(a, b);
}

/* Leaves the digest empty for a file that is gone or cannot be read. */
static int hash_file(struct sampling *s, struct sampled_file *f)
{
	cleanup(digest_sum_free) struct digest_sum *sum = digest_sum_new();
	cleanup(free_ptr) char *buffer = malloc(READ_BYTES);
	cleanup(close_fd) int root = -EBADF, fd = -EBADF;
	struct error e = { 0 };
	ssize_t length;
	int64_t size;

	if (!sum || !buffer)
		return -ENOMEM;
	if (store_files_open_layer(s->m, s->layers[f->layer].name, &root, &e) < 0 ||
	    regular_file_open(root, f->path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, &fd, &size) < 0)
		return 0;
	while ((length = read(fd, buffer, READ_BYTES)) > 0) {
		if (digest_sum_add(sum, buffer, (size_t)length) < 0)
			return -ENOMEM;
		s->result->hashed_bytes += length;
		s->bytes_left -= length;
		if (is_cancelled(s->cancelled))
			return 0;
	}
	return length < 0 ? 0 : digest_sum_end(sum, &f->digest);
}

static bool is_in_several_layers(const struct sampled_file *files, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (files[i].layer != files[0].layer)
			return true;
	return false;
}

/* Files of one digest, sorted by layer. */
static int note_group(struct sampling *s, const struct sampled_file *files, size_t count)
{
	struct duplicate_sample *r = s->result;
	struct duplicate_file *noted;
	uint64_t layers = 1;

	for (size_t i = 1; i < count; i++)
		layers += files[i].layer != files[i - 1].layer;
	if (!files[0].digest.text[0] || layers < 2)
		return 0;
	r->duplicate_files += layers - 1;
	r->duplicate_bytes += files[0].size_bytes * (int64_t)(layers - 1);
	if (r->largest_count == DUPLICATE_SAMPLE_LARGEST)
		return 0; /* the largest files come first */
	noted = &r->largest[r->largest_count];
	noted->path = strdup(files[0].path);
	if (!noted->path)
		return -ENOMEM;
	noted->size_bytes = files[0].size_bytes;
	noted->layers = layers;
	memcpy(noted->record, s->layers[files[0].layer].record, sizeof(noted->record));
	r->largest_count++;
	return 0;
}

/* Files of one size. */
static int compare_files(struct sampling *s, struct sampled_file *files, size_t count)
{
	int code = 0;

	for (size_t i = 0; i < count; i++) {
		if (files[i].size_bytes > s->bytes_left || clock_monotonic_ns() >= s->until_ns) {
			s->result->complete = false;
			continue; /* a smaller file may still fit */
		}
		if (hash_file(s, &files[i]) < 0)
			return -ENOMEM;
	}
	qsort(files, count, sizeof(*files), by_digest);
	for (size_t first = 0, end; first < count && code == 0; first = end) {
		for (end = first + 1;
		     end < count && digest_equal(&files[end].digest, &files[first].digest); end++)
			;
		code = note_group(s, files + first, end - first);
	}
	return code;
}

static int compare_all(struct sampling *s, struct error *e)
{
	if (s->file_count > 0)
		qsort(s->files, s->file_count, sizeof(*s->files), by_size);
	for (size_t first = 0, end; first < s->file_count; first = end) {
		int code = cancellation_check(s->cancelled, e);

		if (code < 0)
			return code;
		for (end = first + 1;
		     end < s->file_count && s->files[end].size_bytes == s->files[first].size_bytes;
		     end++)
			;
		if (is_in_several_layers(s->files + first, end - first) &&
		    compare_files(s, s->files + first, end - first) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

int duplicate_sample_take(struct manager *m, int64_t time_ns, int64_t bytes,
			  const atomic_bool *cancelled, struct duplicate_sample *ret_sample,
			  struct error *e)
{
	cleanup(duplicate_sample_free) struct duplicate_sample result = { .complete = true };
	int64_t now_ns = clock_monotonic_ns();
	cleanup(sampling_free) struct sampling s = { .m = m,
						     .walk_until_ns = now_ns + time_ns / 2,
						     .until_ns = now_ns + time_ns,
						     .bytes_left = bytes,
						     .cancelled = cancelled,
						     .result = &result };
	int code;

	manager_assert_unlocked(m);
	if (list_layers(&s) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	code = walk_layers(&s, e);
	if (code == 0)
		code = compare_all(&s, e);
	if (code < 0)
		return code;
	*ret_sample = result;
	result.largest_count = 0;
	return 0;
}
