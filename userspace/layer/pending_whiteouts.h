/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's whiteouts, made when all of its entries are there: a whiteout hides what lower layers
 * have and nothing of its own layer, wherever in the archive it comes. None is made where it would
 * hide nothing: in a directory that does not merge with one below, overlayfs lists whiteouts as
 * names of files that are not there.
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

/* `path` is what is hidden. */
int pending_whiteouts_add(struct pending_whiteouts *p, const char *path, struct error *e);
/* Makes them. A directory of this layer in a whiteout's place becomes opaque; other files of this
 * layer hide what is below them by themselves. */
int pending_whiteouts_make(struct pending_whiteouts *p, struct beneath *directories,
			   const struct lower_layers *lowers, struct error *e);
