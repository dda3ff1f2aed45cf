/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories below a root, and never anything else: no symbolic link is followed, whoever put it
 * there and when. Keeps the way to the current directory open, because the next entry is mostly in
 * it or near. Paths are relative and clean (beneath_clean); "" is the root.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

/* As the kernel's, with the NUL. A longer path could be made, and used by nobody. */
#define BENEATH_PATH_SIZE 4097

struct beneath;

/* Called for a directory on the way that is missing, or has something else in its place; `name` is
 * the last component of `path`. 0: it is there now. */
struct beneath_missing {
	int (*make)(int parent, const char *name, const char *path, void *user, struct error *e);
	void *user;
};

/* Without leading and doubled slashes, "." and ".." components; the latter take away the component
 * before them. -EPERM: ".." leads above the root; -ENAMETOOLONG. */
int beneath_clean(const char *path, char ret_path[BENEATH_PATH_SIZE], struct error *e);

struct beneath *beneath_new(int root_fd); /* borrowed; NULL: no memory */
void beneath_free(struct beneath *b);
DEFINE_CLEANUP(struct beneath *, beneath_free)

/* The first `length` bytes of the path become the current directory. *ret_fd belongs to b and is
 * good until the next call. `missing` may be NULL. -ENOENT; -ENOTDIR; -ELOOP for a symbolic link.
 */
int beneath_enter(struct beneath *b, const char *path, size_t length,
		  const struct beneath_missing *missing, int *ret_fd, struct error *e);

/* Opens the directory without following links and without becoming current; -errno. */
int beneath_open(int root_fd, const char *path, size_t length);

/* Removes what has this name in the directory, with all that is below it. */
int beneath_remove(int parent, const char *name, struct error *e);

/* The length of the path up to its last component: "a/b/c" -> 3, "c" -> 0; and that component. */
size_t beneath_parent(const char *path, const char **ret_name);

/* A name as a message can show it: "'usr/bin'", what is not printable escaped, what is long cut. */
#define BENEATH_SHOWN_SIZE 256
const char *beneath_show(const char *path, char shown[BENEATH_SHOWN_SIZE]);
