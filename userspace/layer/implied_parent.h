/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that an archive's entry needs and that have no entry (yet). Where a lower layer has
 * the directory, the new one would hide its owner and mode, so it gets these.
 */
#pragma once

#include "base/error.h"
#include "layer/directory_times.h"
#include "layer/lower_layers.h"

struct implied_parent {
	struct lower_layers lowers;
	struct directory_times *times;
};

/* Gives the directory what the lower layers show at the path, if that is a directory. */
int implied_parent_dress(const struct implied_parent *p, int directory_fd, const char *path,
			 struct error *e);
/* As beneath_missing's `make`; user is the struct. -ELOOP, -ENOTDIR: a symbolic link or another
 * file is in the way. */
int implied_parent_make(int parent, const char *name, const char *path, void *user,
			struct error *e);
