/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers that the kernel counts in the mounts of any program. The agent watches all layers that
 * have files. A watch identifies its layer by the root directory. If that is replaced by hand, what
 * was counted in the former one since the last fold is not credited.
 */
#pragma once

#include "manager/state/watch_table.h"

/* Before the layers of a record's chain are handed out to be mounted, by the agent or by a client:
 * whatever overlay has one of them from now on is counted. `r` is reserved, or otherwise kept from
 * being removed; its layers have their files. What is watched already costs one statx(2) a layer.
 * Fails no caller: a problem is reported, and the accesses are then not counted. Without the lock.
 */
void layer_watch_chain(struct manager *m, const struct record *r);
/* The same for one layer, when it has got its files. */
void layer_watch_layer(struct manager *m, const char *layer);

/* Whether the layer's directory still is the one that is watched. Without the lock: `watch` is a
 * copy. */
bool layer_watch_is_current(struct manager *m, const struct layer_watch *watch);

/* At start, when the graph is loaded: goes on with what the kernel has from an earlier agent, and
 * watches the layers that it does not know yet. */
int layer_watch_recover(struct manager *m, struct change_set *c, struct error *e);
