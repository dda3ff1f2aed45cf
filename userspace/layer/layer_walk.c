/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/layer_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/vec.h"
#include "layer/beneath.h"

/* The number of levels at the root that stay open, besides the current directory. Other directories
 * are found again as the ".." of the directory below. */
#define LEVELS_KEPT_OPEN 32
#define CHUNK_BYTES 16384

struct level {
	int fd; /* -1: closed for the time being */
	ino_t inode;
	size_t path_length; /* of the directory */
	struct strbuf names; /* still to do, each with its NUL: all, or subdirectories */
	size_t *order; /* offsets of these; NULL: as they are */
	size_t count, next; /* in order, or offsets in names */
};

struct layer_walk {
	struct layer_walk_options options;
	dev_t device;
	bool begun;
	bool enter; /* the path is a directory whose content comes next */
	bool reading; /* the current directory's chunk */
	ino_t expected; /* of the directory to enter; 0: not known */
	struct level *levels;
	size_t depth, capacity;
	struct strbuf path;
	ssize_t chunk_length, chunk_at;
	_Alignas(struct dirent64) char chunk[CHUNK_BYTES];
};

int layer_walk_open(const struct layer_walk_options *options, struct layer_walk **ret_walk,
		    struct error *e)
{
	cleanup(layer_walk_free) struct layer_walk *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set(e, -ENOMEM, "out of memory");
	w->options = *options;
	*ret_walk = take_ptr(w);
	return 0;
}

static void drop_level(struct layer_walk *w)
{
	struct level *level = &w->levels[--w->depth];

	strbuf_free(&level->names);
	free(level->order);
	cleanup_close_fd(&level->fd);
}

void layer_walk_free(struct layer_walk *w)
{
	if (!w)
		return;
	while (w->depth > 0)
		drop_level(w);
	free(w->levels);
	strbuf_free(&w->path);
	free(w);
}

/* The entry may have been replaced meanwhile, or hidden by a mount. */
static bool has_vanished(int code)
{
	return code == -ENOENT || code == -ENOTDIR || code == -ELOOP || code == -EXDEV;
}

/* Called when the entry cannot be read: 0 to skip it, or the error. */
static int lose(struct layer_walk *w, int code, const char *what, struct error *e)
{
	char shown[BENEATH_SHOWN_SIZE];

	if (w->options.tolerant && has_vanished(code))
		return 0;
	if (code == -EXDEV)
		return error_set(e, code, "%s: it is on another file system than the layer",
				 beneath_show(w->path.text, shown));
	return error_set(e, has_vanished(code) ? -ESTALE : code, "%s: %s: %s",
			 beneath_show(w->path.text, shown), what, strerror(-code));
}

/* ---- names of a directory ---- */

/* The next name from the kernel: 1, or 0 after the last. */
static int read_name(struct layer_walk *w, int fd, const char **ret_name, struct error *e)
{
	for (;;) {
		const struct dirent64 *entry;

		if (w->chunk_at == w->chunk_length) {
			w->chunk_at = 0;
			w->chunk_length = getdents64(fd, w->chunk, sizeof(w->chunk));
			if (w->chunk_length < 0 && errno != ENOENT) /* ENOENT: it was removed */
				return error_set(e, -errno, "read a directory: %s",
						 strerror(errno));
			if (w->chunk_length <= 0) {
				w->chunk_length = 0;
				return 0;
			}
		}
		entry = (const void *)(w->chunk + w->chunk_at);
		w->chunk_at += entry->d_reclen;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		*ret_name = entry->d_name;
		return 1;
	}
}

static int by_bytes(const void *a, const void *b, void *names)
{
	const char *text = names;

	return strcmp(text + *(const size_t *)a, text + *(const size_t *)b);
}

static int read_sorted(struct layer_walk *w, struct level *level, struct error *e)
{
	const char *name;
	size_t at = 0;
	int code;

	while ((code = read_name(w, level->fd, &name, e)) == 1) {
		strbuf_append_bytes(&level->names, name, strlen(name) + 1);
		level->count++;
	}
	if (code < 0)
		return code;
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

/* ---- down and up ---- */

/* Takes fd when it succeeds. */
static int push(struct layer_walk *w, int *fd, ino_t inode, struct error *e)
{
	struct level *levels = vec_reserve(w->levels, &w->capacity, w->depth + 1, sizeof(*levels));

	if (!levels)
		return error_set(e, -ENOMEM, "out of memory");
	w->levels = levels;
	if (w->depth > LEVELS_KEPT_OPEN)
		(void)close(take_fd(&w->levels[w->depth - 1].fd)); /* it was only read */
	w->levels[w->depth] = (struct level){
		.fd = take_fd(fd),
		.inode = inode,
		.path_length = w->path.length,
	};
	w->depth++;
	w->chunk_at = w->chunk_length = 0;
	w->reading = !w->options.sorted;
	return w->options.sorted ? read_sorted(w, &w->levels[w->depth - 1], e) : 0;
}

/* Enters the directory that the path names. */
static int descend(struct layer_walk *w, struct error *e)
{
	const char *name;
	cleanup(close_fd) int fd = -EBADF;
	struct stat st;

	(void)beneath_parent(w->path.text, &name);
	fd = w->depth > 0 ? beneath_open(w->levels[w->depth - 1].fd, name, strlen(name))
			  : beneath_open(w->options.directory, "", 0);
	if (fd < 0 && w->depth == 0)
		return error_set(e, fd, "open the directory: %s", strerror(-fd));
	if (fd < 0)
		return lose(w, fd, "open", e);
	if (fstat(fd, &st) < 0)
		return lose(w, -errno, "look at it", e);
	if (st.st_dev != w->device)
		return lose(w, -EXDEV, "look at it", e);
	if (w->expected && st.st_ino != w->expected)
		return lose(w, -ENOENT, "open", e);
	return push(w, &fd, st.st_ino, e);
}

/* Returns from a finished directory to its parent. */
static int ascend(struct layer_walk *w, struct error *e)
{
	cleanup(close_fd) int done = take_fd(&w->levels[w->depth - 1].fd);
	struct level *level;
	struct stat st;

	drop_level(w);
	if (w->depth == 0 || w->levels[w->depth - 1].fd >= 0)
		return 0;
	level = &w->levels[w->depth - 1];
	level->fd = openat(done, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (level->fd >= 0 && fstat(level->fd, &st) == 0 && st.st_dev == w->device &&
	    st.st_ino == level->inode)
		return 0;
	cleanup_close_fd(&level->fd);
	level->fd = -1;
	if (!w->options.tolerant)
		return error_set(e, -ESTALE, "a directory was moved meanwhile");
	/* The remaining entries of the directory count as vanished. */
	while (w->depth > 0 && w->levels[w->depth - 1].fd < 0)
		drop_level(w);
	return 0;
}

/* ---- entries ---- */

static int begin(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e)
{
	struct layer_entry entry = { .name = ".", .parent = w->options.directory };

	strbuf_append(&w->path, "");
	if (strbuf_failed(&w->path))
		return error_set(e, -ENOMEM, "out of memory");
	if (fstat(w->options.directory, &entry.st) < 0)
		return error_set(e, -errno, "look at the layer: %s", strerror(errno));
	w->device = entry.st.st_dev;
	w->begun = true;
	w->enter = true;
	entry.path = w->path.text;
	*ret_entry = entry;
	return 1;
}

static int set_path(struct layer_walk *w, const struct level *level, const char *name,
		    struct error *e)
{
	w->path.length = level->path_length;
	if (level->path_length > 0)
		strbuf_append(&w->path, "/");
	strbuf_append(&w->path, name);
	return strbuf_failed(&w->path) ? error_set(e, -ENOMEM, "out of memory") : 0;
}

/* 1: this is the next entry; 0: it is skipped. */
static int look(struct layer_walk *w, struct level *level, const char *name,
		struct layer_entry *ret_entry, struct error *e)
{
	struct layer_entry entry = { .parent = level->fd };
	int code = set_path(w, level, name, e);

	if (code < 0)
		return code;
	entry.path = w->path.text;
	(void)beneath_parent(entry.path, &entry.name);
	if (fstatat(level->fd, entry.name, &entry.st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return lose(w, -errno, "look at it", e);
	if (entry.st.st_dev != w->device)
		return lose(w, -EXDEV, "look at it", e);
	if (S_ISDIR(entry.st.st_mode) && w->options.sorted) {
		w->enter = true;
		w->expected = entry.st.st_ino;
	} else if (S_ISDIR(entry.st.st_mode)) {
		strbuf_append_bytes(&level->names, name, strlen(name) + 1);
		if (strbuf_failed(&level->names))
			return error_set(e, -ENOMEM, "out of memory");
	}
	*ret_entry = entry;
	return 1;
}

/* Takes one step. 1: found an entry; 0: not yet. */
static int step(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e)
{
	struct level *level = &w->levels[w->depth - 1];
	const char *name;
	int code;

	if (w->reading) {
		code = read_name(w, level->fd, &name, e);
		if (code == 1)
			return look(w, level, name, ret_entry, e);
		w->reading = false;
		return code;
	}
	if (level->order && level->next < level->count)
		return look(w, level, level->names.text + level->order[level->next++], ret_entry,
			    e);
	if (level->order || level->next >= level->names.length)
		return ascend(w, e);
	name = level->names.text + level->next;
	level->next += strlen(name) + 1;
	w->expected = 0; /* if another directory is there now, that one is walked */
	code = set_path(w, level, name, e);
	return code < 0 ? code : descend(w, e);
}

int layer_walk_next(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e)
{
	int code = 0;

	if (!w->begun)
		return begin(w, ret_entry, e);
	do {
		if (w->options.cancelled &&
		    atomic_load_explicit(w->options.cancelled, memory_order_relaxed))
			return error_set(e, -ECANCELED, "the walk was cancelled");
		/* Not earlier: the last entry that was returned lies in the directory that is
		 * current until here. */
		if (w->enter) {
			w->enter = false;
			code = descend(w, e);
		} else if (w->depth > 0) {
			code = step(w, ret_entry, e);
		} else {
			return 0;
		}
	} while (code == 0);
	return code;
}
