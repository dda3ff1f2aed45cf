/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns from inotify when superblocks cease to exist, whatever kept them: a watch on the root of a
 * mount holds nothing, and the kernel reports its end when the superblock is shut down. An agent
 * has one of these. Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct superblock_watch;

int superblock_watch_new(struct superblock_watch **ret_watch, struct error *e);
void superblock_watch_free(struct superblock_watch *w);
DEFINE_CLEANUP(struct superblock_watch *, superblock_watch_free)

/* Watches the superblock of the mount `name` below `parent`, which is to be unmounted: afterwards
 * nothing leads there. *ret_number stands for it until superblock_watch_is_gone() has said yes. */
int superblock_watch_add(struct superblock_watch *w, int parent, const char *name, int *ret_number,
			 struct error *e);
bool superblock_watch_is_gone(struct superblock_watch *w, int number);
/* Ends a watch whose superblock is of no interest any more. */
void superblock_watch_remove(struct superblock_watch *w, int number);
