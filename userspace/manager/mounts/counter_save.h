/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of what was folded: of the cells, so that nothing is counted twice, and of the layers that
 * they are in. All are called with the lock, and leave the writing to the caller.
 */
#pragma once

struct change_set;
struct layer_watch;
struct manager;

/* The rows of a layer's own cells, and the layer's. */
void counter_save_watch(struct manager *m, struct change_set *c, struct layer_watch *watch);
/* Everything that is dirty, layers by way of the mounts that they are in. */
void counter_save_dirty(struct manager *m, struct change_set *c);
/* After a write that failed: everything is to be written again. */
void counter_save_mark_all(struct manager *m);
