/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the whiteouts of a layer after all its entries: a whiteout hides files of lower layers and
 * none of its own layer, wherever the archive has it. A whiteout that hides nothing is not made,
 * because in a directory that does not merge with a lower one, overlayfs would list it as a file.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/beneath.h"
#include "layer/lower_layers.h"

struct pending_whiteouts;

int pending_whiteouts_new(int layer_fd, struct pending_whiteouts **ret_whiteouts, struct error *e);
void pending_whiteouts_free(struct pending_whiteouts *p);
DEFINE_CLEANUP(struct pending_whiteouts *, pending_whiteouts_free)

/* `path` is the path that is hidden. */
int pending_whiteouts_add(struct pending_whiteouts *p, const char *path, struct error *e);
/* Makes the whiteouts. A directory of this layer at the path becomes opaque; other files of this
 * layer hide what is below them by themselves. */
int pending_whiteouts_make(struct pending_whiteouts *p, struct beneath *directories,
			   const struct lower_layers *lowers, struct error *e);
