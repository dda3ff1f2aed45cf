/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that an archive's entry needs and that have no entry (yet). Where a lower layer has
 * the directory, the new one would hide its owner and mode, so it gets these.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "layer/directory_times.h"

struct implied_parent {
	const int *lower_fds; /* newest first */
	size_t lower_count;
	struct directory_times *times;
};

/* What the topmost lower shows at the path goes to the directory, if it is one there. */
int implied_parent_dress(const struct implied_parent *p, int directory_fd, const char *path,
			 struct error *e);
/* As beneath_missing's `make`; user is the struct. A whiteout in the way gives an opaque directory;
 * -EPERM, -ENOTDIR: a link or another file is in the way. */
int implied_parent_make(int parent, const char *name, const char *path, void *user,
			struct error *e);
/* Makes the directory anew in the place of a whiteout. */
int implied_parent_replace_whiteout(int parent, const char *name, struct error *e);
