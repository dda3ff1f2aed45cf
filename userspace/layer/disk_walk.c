// SPDX-License-Identifier: Apache-2.0
#include "layer/disk_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/*
 * Depth first, with a stack of the directories from the root to the current one, each with the
 * names of its subdirectories that are still to do. Open are the current one and these levels at
 * the root; another is found again as the ".." of the directory below it, if nobody has moved that.
 */
#define LEVELS_KEPT_OPEN 32
#define STAT_BLOCK_SIZE 512
#define FIRST_INODES_CAPACITY 64

struct level {
	int fd; /* -1: closed for the time being */
	ino_t inode;
	struct strbuf names; /* each with its NUL */
	size_t next; /* offset of the next name to do */
};

/* Inodes that have been met and have further links: open addressing, 0 is a free place. */
struct inode_set {
	ino_t *places;
	size_t capacity; /* a power of two */
	size_t count;
};

struct disk_walker {
	const atomic_bool *cancelled;
	dev_t device;
	struct disk_usage usage;
	struct inode_set linked;
	struct level *levels;
	size_t depth;
	size_t level_capacity;
	struct error *e;
};

/* ---- hard links ---- */

static size_t find_place(const struct inode_set *s, ino_t inode)
{
	size_t place = (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (s->capacity - 1);

	while (s->places[place] && s->places[place] != inode)
		place = (place + 1) & (s->capacity - 1);
	return place;
}

static int grow(struct inode_set *s)
{
	size_t capacity = s->capacity ? 2 * s->capacity : FIRST_INODES_CAPACITY;
	struct inode_set larger = { calloc(capacity, sizeof(*s->places)), capacity, s->count };

	if (!larger.places)
		return -ENOMEM;
	for (size_t i = 0; i < s->capacity; i++)
		if (s->places[i])
			larger.places[find_place(&larger, s->places[i])] = s->places[i];
	free(s->places);
	*s = larger;
	return 0;
}

/* 1: it is new; 0: it was there; -ENOMEM. No file system gives a file the number 0. */
static int add_inode(struct inode_set *s, ino_t inode)
{
	size_t place;

	if (s->count >= s->capacity / 2 && grow(s) < 0)
		return -ENOMEM;
	place = find_place(s, inode);
	if (s->places[place])
		return 0;
	s->places[place] = inode;
	s->count++;
	return 1;
}

/* ---- one directory ---- */

static bool is_cancelled(const struct disk_walker *w)
{
	return w->cancelled && atomic_load_explicit(w->cancelled, memory_order_relaxed);
}

static bool has_vanished(int code)
{
	/* Something else may be there by now; a mount on it hides it as well. */
	return code == -ENOENT || code == -ENOTDIR || code == -ELOOP || code == -EXDEV;
}

static int count_entry(struct disk_walker *w, const struct stat *s)
{
	if (!S_ISDIR(s->st_mode) && s->st_nlink > 1) {
		int r = add_inode(&w->linked, s->st_ino);
		if (r <= 0)
			return r < 0 ? error_set(w->e, r, "out of memory") : 0;
	}
	w->usage.inodes++;
	w->usage.allocated_bytes += (int64_t)s->st_blocks * STAT_BLOCK_SIZE;
	if (S_ISREG(s->st_mode) || S_ISLNK(s->st_mode))
		w->usage.apparent_bytes += s->st_size;
	return 0;
}

static int visit_entry(struct disk_walker *w, struct level *level, const char *name)
{
	struct stat s;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (is_cancelled(w))
		return error_set(w->e, -ECANCELED, "the walk was cancelled");
	if (fstatat(level->fd, name, &s, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return has_vanished(-errno)
			       ? 0
			       : error_set(w->e, -errno, "look at '%s': %s", name, strerror(errno));
	if (s.st_dev != w->device)
		return 0;
	if (S_ISDIR(s.st_mode))
		strbuf_append_bytes(&level->names, name, strlen(name) + 1);
	return count_entry(w, &s);
}

/* Counts what is in the current directory, and notes its subdirectories. */
static int read_level(struct disk_walker *w)
{
	struct level *level = &w->levels[w->depth - 1];
	_Alignas(struct dirent64) char entries[16384];
	ssize_t length;

	while ((length = getdents64(level->fd, entries, sizeof(entries))) > 0)
		for (ssize_t at = 0; at < length;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			int r = visit_entry(w, level, entry->d_name);

			if (r < 0)
				return r;
			at += entry->d_reclen;
		}
	if (length < 0 && errno != ENOENT) /* ENOENT: it was removed after it was opened */
		return error_set(w->e, -errno, "read a directory: %s", strerror(errno));
	if (strbuf_failed(&level->names))
		return error_set(w->e, -ENOMEM, "out of memory");
	return 0;
}

/* ---- the stack ---- */

/* Takes fd when it succeeds. */
static int push_level(struct disk_walker *w, int *fd, ino_t inode)
{
	if (w->depth == w->level_capacity) {
		size_t capacity = w->level_capacity ? 2 * w->level_capacity : LEVELS_KEPT_OPEN;
		struct level *levels = reallocarray(w->levels, capacity, sizeof(*levels));

		if (!levels)
			return error_set(w->e, -ENOMEM, "out of memory");
		w->levels = levels;
		w->level_capacity = capacity;
	}
	if (w->depth > LEVELS_KEPT_OPEN)
		(void)close(take_fd(&w->levels[w->depth - 1].fd)); /* it was only read */
	w->levels[w->depth++] = (struct level){ .fd = take_fd(fd), .inode = inode };
	return 0;
}

static void drop_level(struct disk_walker *w)
{
	struct level *level = &w->levels[--w->depth];

	strbuf_free(&level->names);
	cleanup_close_fd(&level->fd);
}

/* From a directory that is done to the one above it. */
static void ascend(struct disk_walker *w)
{
	cleanup(close_fd) int done = take_fd(&w->levels[w->depth - 1].fd);

	drop_level(w);
	if (w->depth > 0 && w->levels[w->depth - 1].fd < 0) {
		struct level *level = &w->levels[w->depth - 1];
		cleanup(close_fd) int fd = openat(done, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct stat s;

		if (fd >= 0 && fstat(fd, &s) == 0 && s.st_dev == w->device &&
		    s.st_ino == level->inode)
			level->fd = take_fd(&fd);
	}
	/* The tree was moved under our feet: what was left to do there counts as vanished. */
	while (w->depth > 0 && w->levels[w->depth - 1].fd < 0)
		drop_level(w);
}

static int open_below(int parent, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		/* Nor into a bind mount, which has the same device number. */
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* To the next subdirectory of the current directory; stays when that has vanished. */
static int descend(struct disk_walker *w)
{
	struct level *level = &w->levels[w->depth - 1];
	const char *name = level->names.text + level->next;
	cleanup(close_fd) int fd = open_below(level->fd, name);
	struct stat s;
	int r;

	level->next += strlen(name) + 1;
	if (fd < 0)
		return has_vanished(fd) ? 0
					: error_set(w->e, fd, "open directory '%s': %s", name,
						    strerror(-fd));
	if (fstat(fd, &s) < 0)
		return error_set(w->e, -errno, "look at '%s': %s", name, strerror(errno));
	if (s.st_dev != w->device) /* another one than the one that was counted */
		return 0;
	r = push_level(w, &fd, s.st_ino);
	return r < 0 ? r : read_level(w);
}

static int walk(struct disk_walker *w, int directory)
{
	cleanup(close_fd) int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return error_set(w->e, -errno, "open the directory to measure: %s",
				 strerror(errno));
	w->device = s.st_dev;
	r = push_level(w, &fd, s.st_ino);
	if (r == 0)
		r = read_level(w);
	while (r == 0 && w->depth > 0) {
		const struct level *level = &w->levels[w->depth - 1];

		if (level->next < level->names.length)
			r = descend(w);
		else
			ascend(w);
	}
	return r;
}

int disk_walk(int directory, const atomic_bool *cancelled, struct disk_usage *ret_usage,
	      struct error *e)
{
	struct disk_walker w = { .cancelled = cancelled, .e = e };
	int r = walk(&w, directory);

	while (w.depth > 0)
		drop_level(&w);
	free(w.levels);
	free(w.linked.places);
	if (r == 0)
		*ret_usage = w.usage;
	return r;
}
