/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens directories below a root and nothing outside of it: no symbolic link is followed, even one
 * that another process puts in a directory's place. Keeps the directories on the way to the current
 * one open, because the next entry is mostly in it or near it. Paths are relative and clean
 * (beneath_clean); "" is the root.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

/* The kernel's PATH_MAX and one more. Longer paths can be made, but no program can use them. */
#define BENEATH_PATH_SIZE 4097

struct beneath;

/* Called for a directory on the way that is missing, or has something else in its place; `name` is
 * the last component of `path`. Returns 0 when the directory exists now. */
struct beneath_missing {
	int (*make)(int parent, const char *name, const char *path, void *user, struct error *e);
	void *user;
};

/* Without leading and doubled slashes, "." and ".." components; the latter take away the component
 * before them. -EPERM: ".." leads above the root; -ENAMETOOLONG. */
int beneath_clean(const char *path, char ret_path[BENEATH_PATH_SIZE], struct error *e);

struct beneath *beneath_new(int root_fd); /* root_fd is borrowed; NULL: out of memory */
void beneath_free(struct beneath *b);
DEFINE_CLEANUP(struct beneath *, beneath_free)

/* Makes the first `length` bytes of the path the current directory. *ret_fd belongs to b and is
 * good until the next call. `missing` may be NULL. -ENOENT; -ENOTDIR; -ELOOP for a symbolic link.
 */
int beneath_enter(struct beneath *b, const char *path, size_t length,
		  const struct beneath_missing *missing, int *ret_fd, struct error *e);

/* Opens the directory without following links and without becoming current; -errno. */
int beneath_open(int root_fd, const char *path, size_t length);

/* Removes the file or the tree of this name in the directory. */
int beneath_remove(int parent, const char *name, struct error *e);

/* The length of the path up to its last component: "a/b/c" -> 3, "c" -> 0; and that component. */
size_t beneath_parent(const char *path, const char **ret_name);

/* Quotes a name for a message, "'usr/bin'": unprintable bytes are escaped, long names are cut. */
#define BENEATH_SHOWN_SIZE 256
const char *beneath_show(const char *path, char shown[BENEATH_SHOWN_SIZE]);
