/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes directories that an entry needs and that have no entry of their own (yet). If a lower layer
 * has the directory, the new one hides it, so it gets the same owner, mode and attributes.
 */
#pragma once

#include "base/error.h"
#include "layer/directory_times.h"
#include "layer/lower_layers.h"

struct implied_parent {
	struct lower_layers lowers;
	struct directory_times *times;
};

/* Copies the attributes that the lower layers show at the path, if they have a directory there. */
int implied_parent_dress(const struct implied_parent *p, int directory_fd, const char *path,
			 struct error *e);
/* For `make` of struct beneath_missing, with this struct as `user`. -ELOOP, -ENOTDIR: a symbolic
 * link or another file is in the way. */
int implied_parent_make(int parent, const char *name, const char *path, void *user,
			struct error *e);
