/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers that are counted in whatever overlay they are: the kernel's map from the root
 * directory of a layer's files to the owner of its cells. A root is known by device, inode and
 * generation, so that neither a number that is used again nor a folder that is put in its place
 * is taken for the layer. Any thread may call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bpf/usage_shared.h"

struct usage_bpf;

/* Of an open directory. -ENOTSUP: its file system has no generations, or does not tell them. */
int usage_layers_identify(int fd, struct usage_root *ret_root, struct error *e);

/* From now on the overlays that have this root as a layer are counted in the cells of *owner; when
 * a layer of this name is watched there already, *owner becomes the one that it has. The owner has
 * USAGE_LAYER_OWNER and is never used for another root. -ENOSPC: the map is full. */
int usage_layers_watch(struct usage_bpf *u, const struct usage_root *root, const char *name,
		       uint64_t *owner, struct error *e);
/* Ends that. The cells and the entries of files go with one of the next reads. */
void usage_layers_unwatch(struct usage_bpf *u, const struct usage_root *root, uint64_t owner);

/* All that are watched, also those that an earlier agent has left. Visits in no order; a visitor's
 * negative return ends the walk and is returned. Visitors may unwatch what they see. */
int usage_layers_list(struct usage_bpf *u,
		      int (*visit)(const struct usage_root *root, const char *name, uint64_t owner,
				   void *user),
		      void *user, struct error *e);

/* For usage_bpf.c: makes the filter agree with what is watched. */
int usage_layers_adopt(struct usage_bpf *u);
/* For usage_bpf.c, with the lock: the kernel finds out anew which mounts are foreign. After a layer
 * or a mount was added to those that are counted. */
void usage_layers_end_verdicts(struct usage_bpf *u);
/* For usage_reader.c: deletes the times of uses that are too old to matter, now and then. */
void usage_layers_sweep_uses(struct usage_bpf *u);
