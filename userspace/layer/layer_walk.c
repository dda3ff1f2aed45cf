/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/layer_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/strbuf.h"
#include "layer/beneath.h"

struct level {
	struct strbuf names; /* each with its NUL */
	size_t *order; /* offsets of these */
	size_t count, next;
	size_t path_length; /* of the directory */
};

struct layer_walk {
	struct beneath *directories;
	int layer_fd;
	dev_t device;
	bool begun;
	bool enter; /* w->path is a directory that was given out and not read yet */
	struct level *levels;
	size_t depth, capacity;
	char path[BENEATH_PATH_SIZE];
};

int layer_walk_open(int layer_fd, struct layer_walk **ret_walk, struct error *e)
{
	cleanup(layer_walk_free) struct layer_walk *w = calloc(1, sizeof(*w));

	if (w)
		w->directories = beneath_new(layer_fd);
	if (!w || !w->directories)
		return error_set(e, -ENOMEM, "out of memory");
	w->layer_fd = layer_fd;
	*ret_walk = take_ptr(w);
	return 0;
}

static void drop_level(struct layer_walk *w)
{
	struct level *level = &w->levels[--w->depth];

	strbuf_free(&level->names);
	free(level->order);
}

void layer_walk_free(struct layer_walk *w)
{
	if (!w)
		return;
	while (w->depth > 0)
		drop_level(w);
	free(w->levels);
	beneath_free(w->directories);
	free(w);
}

static int by_bytes(const void *a, const void *b, void *names)
{
	const char *text = names;

	return strcmp(text + *(const size_t *)a, text + *(const size_t *)b);
}

static int read_names(int fd, struct level *level, struct error *e)
{
	_Alignas(struct dirent64) char entries[16384];
	ssize_t length;
	size_t at = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(e, -errno, "rewind: %s", strerror(errno));
	while ((length = getdents64(fd, entries, sizeof(entries))) > 0)
		for (ssize_t next = 0; next < length;) {
			const struct dirent64 *entry = (const void *)(entries + next);
			const char *name = entry->d_name;

			next += entry->d_reclen;
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			strbuf_append_bytes(&level->names, name, strlen(name) + 1);
			level->count++;
		}
	if (length < 0)
		return error_set(e, -errno, "list: %s", strerror(errno));
	level->order = calloc(level->count + 1, sizeof(*level->order));
	if (!level->order || strbuf_failed(&level->names))
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < level->count; i++) {
		level->order[i] = at;
		at += strlen(level->names.text + at) + 1;
	}
	qsort_r(level->order, level->count, sizeof(*level->order), by_bytes, level->names.text);
	return 0;
}

/* Into the directory that w->path is. */
static int push(struct layer_walk *w, struct error *e)
{
	size_t length = strlen(w->path);
	int fd, r = beneath_enter(w->directories, w->path, length, NULL, &fd, e);

	if (r < 0)
		return r;
	if (w->depth == w->capacity) {
		size_t capacity = w->capacity ? 2 * w->capacity : 32;
		struct level *levels = reallocarray(w->levels, capacity, sizeof(*levels));

		if (!levels)
			return error_set(e, -ENOMEM, "out of memory");
		w->levels = levels;
		w->capacity = capacity;
	}
	w->levels[w->depth] = (struct level){ .path_length = length };
	return read_names(fd, &w->levels[w->depth++], e);
}

static int begin(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e)
{
	struct layer_entry entry = { .path = w->path, .name = ".", .parent = w->layer_fd };

	if (fstat(w->layer_fd, &entry.st) < 0)
		return error_set(e, -errno, "look at the layer: %s", strerror(errno));
	w->device = entry.st.st_dev;
	w->begun = true;
	w->enter = true;
	*ret_entry = entry;
	return 1;
}

static int look(struct layer_walk *w, const struct level *level, const char *name,
		struct layer_entry *ret_entry, struct error *e)
{
	struct layer_entry entry = { .path = w->path };
	size_t length = level->path_length, name_length = strlen(name);
	int r;

	if (length + name_length + 2 > sizeof(w->path))
		return error_set(e, -ENAMETOOLONG, "a path is longer than %d bytes",
				 BENEATH_PATH_SIZE - 1);
	if (length > 0)
		w->path[length++] = '/';
	memcpy(w->path + length, name, name_length + 1);
	entry.name = w->path + length;
	r = beneath_enter(w->directories, w->path, level->path_length, NULL, &entry.parent, e);
	if (r < 0)
		return r;
	if (fstatat(entry.parent, entry.name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, errno == ENOENT ? -ESTALE : -errno, "look at it: %s",
				 strerror(errno));
	if (entry.st.st_dev != w->device)
		return error_set(e, -EXDEV, "it is on another file system than the layer");
	w->enter = S_ISDIR(entry.st.st_mode);
	*ret_entry = entry;
	return 0;
}

int layer_walk_next(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e)
{
	char shown[BENEATH_SHOWN_SIZE];
	const char *name;
	struct level *level;

	if (!w->begun)
		return begin(w, ret_entry, e);
	/* Only now: the entry that was given out is in the directory that is current until here. */
	if (w->enter && push(w, e) < 0)
		return error_context(e, "%s", beneath_show(w->path, shown));
	w->enter = false;
	while (w->depth > 0 && w->levels[w->depth - 1].next == w->levels[w->depth - 1].count)
		drop_level(w);
	if (w->depth == 0)
		return 0;
	level = &w->levels[w->depth - 1];
	name = level->names.text + level->order[level->next++];
	if (look(w, level, name, ret_entry, e) < 0)
		return error_context(e, "%s", beneath_show(w->path, shown));
	return 1;
}
