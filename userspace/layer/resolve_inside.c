/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/resolve_inside.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 255 /* as containerd */
#define REST_SIZE (2 * BENEATH_PATH_SIZE)

struct walk {
	struct beneath *directories;
	const struct beneath_missing *missing;
	char path[BENEATH_PATH_SIZE]; /* so far: of directories, no links */
	size_t length;
	char rest[REST_SIZE]; /* still to go */
	unsigned links;
	int fd; /* of path */
};

static int enter(struct walk *w, struct error *e)
{
	return beneath_enter(w->directories, w->path, w->length, w->missing, &w->fd, e);
}

/* Puts the target of a link in front of the rest of the path, which begins at `after`. */
static int follow(struct walk *w, const char *target, size_t length, const char *after,
		  struct error *e)
{
	size_t rest = strlen(after);

	if (++w->links > LINKS_MAX)
		return error_set(e, -ELOOP, "more than %d symbolic links lead to it", LINKS_MAX);
	if (length + 1 + rest >= sizeof(w->rest))
		return error_set(e, -ENAMETOOLONG, "symbolic links make its path too long");
	memmove(w->rest + length + 1, after, rest + 1);
	memcpy(w->rest, target, length);
	w->rest[length] = '/';
	if (target[0] == '/')
		w->length = 0;
	return enter(w, e);
}

static void up(struct walk *w)
{
	while (w->length > 0 && w->path[--w->length] != '/')
		;
}

static int down(struct walk *w, const char *name, size_t length, struct error *e)
{
	size_t slash = w->length > 0;

	if (w->length + slash + length >= sizeof(w->path))
		return error_set(e, -ENAMETOOLONG, "its path is longer than %d bytes",
				 BENEATH_PATH_SIZE - 1);
	if (slash)
		w->path[w->length++] = '/';
	memcpy(w->path + w->length, name, length);
	w->length += length;
	w->path[w->length] = '\0';
	return enter(w, e);
}

/* Resolves the next component of the rest. */
static int step(struct walk *w, struct error *e)
{
	char name[NAME_MAX + 1], target[PATH_MAX];
	size_t part = strcspn(w->rest, "/");
	char *after = w->rest + part + (w->rest[part] == '/');
	ssize_t length;
	int code;

	if (part >= sizeof(name))
		return error_set(e, -ENAMETOOLONG, "a name in its path is longer than %d bytes",
				 NAME_MAX);
	memcpy(name, w->rest, part);
	name[part] = '\0';
	if (part == 2 && strcmp(name, "..") == 0) {
		up(w);
		code = enter(w, e);
	} else if (part == 0 || strcmp(name, ".") == 0) {
		code = 0;
	} else {
		length = readlinkat(w->fd, name, target, sizeof(target));
		if (length > 0)
			return follow(w, target, (size_t)length, after, e);
		code = down(w, name, part, e);
	}
	memmove(w->rest, after, strlen(after) + 1);
	return code;
}

int resolve_inside(struct beneath *b, const char *path, size_t length,
		   const struct beneath_missing *missing, char ret_path[BENEATH_PATH_SIZE],
		   int *ret_fd, struct error *e)
{
	struct walk w = { .directories = b, .missing = missing };
	int code = beneath_enter(b, path, length, missing, ret_fd, e);

	if (code == 0) {
		memcpy(ret_path, path, length);
		ret_path[length] = '\0';
	}
	if (code != -ELOOP && code != -ENOTDIR)
		return code;
	memcpy(w.rest, path, length);
	w.rest[length] = '\0';
	code = enter(&w, e);
	if (code < 0)
		return code;
	while (w.rest[0]) {
		code = step(&w, e);
		if (code < 0)
			return code;
	}
	memcpy(ret_path, w.path, w.length);
	ret_path[w.length] = '\0';
	*ret_fd = w.fd;
	return 0;
}
