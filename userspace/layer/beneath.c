/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Deeper directories are found again from the deepest of these. */
#define LEVELS_KEPT_OPEN 48
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define DEPTH_MAX (BENEATH_PATH_SIZE / 2)

struct level {
	int fd; /* -1: closed for the time being */
	uint16_t end; /* of its part of the path */
};

struct beneath {
	int root;
	char path[BENEATH_PATH_SIZE];
	size_t depth; /* levels in use; 0: the root is current */
	struct level levels[DEPTH_MAX];
};

int beneath_clean(const char *path, char ret_path[BENEATH_PATH_SIZE], struct error *e)
{
	size_t length = 0;

	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && memcmp(path, "..", 2) == 0) {
			if (length == 0)
				return error_set(e, -EPERM, "'..' would lead out of the layer");
			while (length > 0 && ret_path[--length] != '/')
				;
		} else if (part > 0 && !(part == 1 && *path == '.')) {
			if (length + (length > 0) + part >= BENEATH_PATH_SIZE)
				return error_set(e, -ENAMETOOLONG,
						 "the path is longer than %d bytes",
						 BENEATH_PATH_SIZE - 1);
			if (length > 0)
				ret_path[length++] = '/';
			memcpy(ret_path + length, path, part);
			length += part;
		}
		path += part + (path[part] == '/');
	}
	ret_path[length] = '\0';
	return 0;
}

size_t beneath_parent(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	return slash ? (size_t)(slash - path) : 0;
}

const char *beneath_show(const char *path, char shown[BENEATH_SHOWN_SIZE])
{
	size_t at = 0;

	shown[at++] = '\'';
	for (; *path && at < BENEATH_SHOWN_SIZE - 10; path++) {
		unsigned char c = (unsigned char)*path;

		if (c >= ' ' && c < 0x7f && c != '\\')
			shown[at++] = (char)c;
		else
			at += (size_t)sprintf(shown + at, "\\x%02x", c);
	}
	(void)strcpy(shown + at, *path ? "...'" : "'"); /* there is room for both */
	return shown;
}

struct beneath *beneath_new(int root_fd)
{
	struct beneath *b = calloc(1, sizeof(*b));

	if (b)
		b->root = root_fd;
	return b;
}

static void leave(struct beneath *b, size_t depth)
{
	while (b->depth > depth)
		cleanup_close_fd(&b->levels[--b->depth].fd);
}

void beneath_free(struct beneath *b)
{
	if (b)
		leave(b, 0);
	free(b);
}

static pthread_once_t openat2_once = PTHREAD_ONCE_INIT;
static bool has_openat2;

static void probe_openat2(void)
{
	struct open_how how = { .flags = DIRECTORY, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	has_openat2 = fd >= 0;
	cleanup_close_fd(&fd);
}

static uint64_t mount_of(int fd)
{
	struct statx x;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) == 0 ? x.stx_mnt_id : 0;
}

/* For systems whose seccomp filter refuses openat2(2): opens one component at a time. */
static int open_by_steps(int root_fd, char *path)
{
	cleanup(close_fd) int fd = openat(root_fd, ".", DIRECTORY);
	char *rest = path, *name;

	while (fd >= 0 && (name = strsep(&rest, "/"))) {
		int below = openat(fd, name, DIRECTORY);

		if (below < 0)
			return -errno;
		cleanup_close_fd(&fd);
		fd = below;
		if (strcmp(name, "..") == 0 || mount_of(fd) != mount_of(root_fd))
			return -EXDEV;
	}
	return fd < 0 ? -errno : take_fd(&fd);
}

int beneath_open(int root_fd, const char *path, size_t length)
{
	struct open_how how = {
		.flags = DIRECTORY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	char copy[BENEATH_PATH_SIZE];
	int fd;

	if (length == 0)
		path = ".", length = 1;
	if (length >= sizeof(copy))
		return -ENAMETOOLONG;
	memcpy(copy, path, length);
	copy[length] = '\0';
	(void)pthread_once(&openat2_once, probe_openat2);
	if (!has_openat2)
		return open_by_steps(root_fd, copy);
	fd = (int)syscall(SYS_openat2, root_fd, copy, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static int current_fd(const struct beneath *b)
{
	return b->depth > 0 ? b->levels[b->depth - 1].fd : b->root;
}

/* The number of levels that are the beginning of the path. */
static size_t common_depth(const struct beneath *b, const char *path, size_t length)
{
	size_t common = b->depth > 0 ? b->levels[b->depth - 1].end : 0, depth, same = 0;

	if (common > length)
		common = length;
	while (same < common && b->path[same] == path[same])
		same++;
	for (depth = 0; depth < b->depth && b->levels[depth].end <= same; depth++)
		;
	/* "ab" is not a level of the path "abc". */
	if (depth > 0 && b->levels[depth - 1].end < length && path[b->levels[depth - 1].end] != '/')
		depth--;
	return depth;
}

/* Opens the current directory again, if it was closed to save descriptors. */
static int reopen(struct beneath *b)
{
	struct level *level = &b->levels[b->depth - 1];
	const struct level *open = &b->levels[LEVELS_KEPT_OPEN - 1];
	const char *rest = b->path + open->end + 1;
	int fd;

	if (level->fd >= 0)
		return 0;
	fd = beneath_open(open->fd, rest, (size_t)(level->end - open->end - 1));
	if (fd < 0)
		return fd;
	level->fd = fd;
	return 0;
}

/* Opens the directory whose name is from `start` to `end` of b->path, and makes it current. */
static int descend(struct beneath *b, size_t start, size_t end,
		   const struct beneath_missing *missing, struct error *e)
{
	const char *name = b->path + start;
	int parent = current_fd(b), fd, code;

	fd = openat(parent, name, DIRECTORY);
	if (fd < 0 && missing && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
		code = missing->make(parent, name, b->path, missing->user, e);
		if (code < 0)
			return code;
		fd = openat(parent, name, DIRECTORY);
	}
	if (fd < 0) {
		char shown[BENEATH_SHOWN_SIZE];

		return error_set(e, -errno, "open the directory %s: %s",
				 beneath_show(b->path, shown), strerror(errno));
	}
	if (b->depth > LEVELS_KEPT_OPEN)
		(void)close(
			take_fd(&b->levels[b->depth - 1].fd)); /* nothing was written through it */
	b->levels[b->depth++] = (struct level){ .fd = fd, .end = (uint16_t)end };
	return 0;
}

int beneath_enter(struct beneath *b, const char *path, size_t length,
		  const struct beneath_missing *missing, int *ret_fd, struct error *e)
{
	size_t at;
	int code = 0;

	leave(b, common_depth(b, path, length));
	at = b->depth > 0 ? b->levels[b->depth - 1].end : 0;
	if (b->depth > 0)
		code = reopen(b);
	if (code < 0) {
		leave(b, 0);
		return error_set(e, code, "a directory has vanished: %s", strerror(-code));
	}
	while (at < length) {
		size_t start = at > 0 ? at + 1 : 0;
		size_t part = strcspn(path + start, "/");

		if (start + part > length)
			part = length - start;
		memcpy(b->path + at, path + at, start + part - at);
		at = start + part;
		b->path[at] = '\0';
		code = descend(b, start, at, missing, e);
		if (code < 0)
			return code;
	}
	*ret_fd = current_fd(b);
	return 0;
}

/* ---- removing ---- */

/* Removes entries of the directory up to the first one that is a directory with content. *ret_child
 * is its name; "" when all were removed. */
static int empty_directory(int fd, char ret_child[NAME_MAX + 1])
{
	_Alignas(struct dirent64) char entries[16384];
	ssize_t length;

	ret_child[0] = '\0';
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((length = getdents64(fd, entries, sizeof(entries))) > 0)
		for (ssize_t at = 0; at < length;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			const char *name = entry->d_name;

			at += entry->d_reclen;
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			if (unlinkat(fd, name, 0) == 0 || unlinkat(fd, name, AT_REMOVEDIR) == 0)
				continue;
			if (errno != ENOTEMPTY && errno != EEXIST)
				return -errno;
			(void)strcpy(ret_child, name); /* it fits: the kernel limits names */
			return 0;
		}
	return length < 0 ? -errno : 0;
}

/* Moves up to "..", whose inode number must be that of the directory on the way down. */
static int ascend(int *fd, ino_t expected)
{
	int up = openat(*fd, "..", DIRECTORY);
	struct stat st;

	if (up < 0)
		return -errno;
	cleanup_close_fd(fd);
	*fd = up;
	if (fstat(up, &st) < 0)
		return -errno;
	return st.st_ino == expected ? 0 : -ESTALE;
}

static int remove_below(int *fd)
{
	cleanup(free_ptr) ino_t *way = calloc(DEPTH_MAX, sizeof(*way));
	size_t depth = 0;

	if (!way)
		return -ENOMEM;
	for (;;) {
		char child[NAME_MAX + 1];
		struct stat st;
		int code = empty_directory(*fd, child), next;

		if (code < 0)
			return code;
		if (!child[0] && depth == 0)
			return 0;
		if (!child[0]) {
			/* The child is empty now; the next look at its parent removes it. */
			code = ascend(fd, way[--depth]);
			if (code < 0)
				return code;
			continue;
		}
		if (depth == DEPTH_MAX)
			return -ENAMETOOLONG;
		if (fstat(*fd, &st) < 0)
			return -errno;
		next = openat(*fd, child, DIRECTORY);
		if (next < 0)
			return -errno;
		way[depth++] = st.st_ino;
		cleanup_close_fd(fd);
		*fd = next;
	}
}

int beneath_remove(int parent, const char *name, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	int code;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_set(e, -errno, "remove what is there: %s", strerror(errno));
	fd = openat(parent, name, DIRECTORY);
	code = fd < 0 ? -errno : remove_below(&fd);
	if (code == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		code = -errno;
	if (code < 0)
		return error_set(e, code, "remove the directory that is there: %s",
				 strerror(-code));
	return 0;
}
