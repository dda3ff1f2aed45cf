/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of a layer that are needed again after the last entry, each with an item of fixed size.
 * They are in an unlinked file, because an archive may have millions of them.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/beneath.h"

struct path_spool;

/* Uses the file system of layer_fd, if it supports unnamed files. */
int path_spool_new(int layer_fd, size_t item_size, struct path_spool **ret_spool, struct error *e);
void path_spool_free(struct path_spool *s);
DEFINE_CLEANUP(struct path_spool *, path_spool_free)

/* The item is copied; NULL where item_size is 0. */
int path_spool_add(struct path_spool *s, const char *path, const void *item, struct error *e);
/* Moves to the first path. Paths that are added later follow the last one. */
int path_spool_rewind(struct path_spool *s, struct error *e);
/* In the order they were added: 1, or 0 after the last. */
int path_spool_next(struct path_spool *s, char ret_path[BENEATH_PATH_SIZE], void *ret_item,
		    struct error *e);
