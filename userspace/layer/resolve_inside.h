/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of a layer whose path leads through symbolic links of the same layer, as the entries
 * of pnpm's and nix' images do. The layer is what "/" is in a chroot: absolute targets begin at its
 * root and ".." does not lead above it. Only names are read from links; every directory is opened
 * without following any.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "layer/beneath.h"

/* Like beneath_enter(), whose `missing` must return -ELOOP for a link. ret_path is the path without
 * links. -ELOOP: too many links. */
int resolve_inside(struct beneath *b, const char *path, size_t length,
		   const struct beneath_missing *missing, char ret_path[BENEATH_PATH_SIZE],
		   int *ret_fd, struct error *e);
