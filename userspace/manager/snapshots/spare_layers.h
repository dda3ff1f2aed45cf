/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empty layers that a thread makes ahead, in spare/, so that Prepare needs two renames and not four
 * new inodes. A spare layer is on the disk before it is used: after a power cut it is found in
 * layers/ or still in spare/. The thread also writes to the disk, soon, what Prepare has left to
 * the kernel.
 */
#pragma once

#include "manager/state/manager_state.h"

/* An empty layer that nobody else gets. */
struct spare_layer {
	char name[LAYER_NAME_LENGTH + 1]; /* "": there was none */
	bool durable; /* its directories survive a power cut */
};

int spare_layers_start(struct manager *m, struct error *e);
void spare_layers_stop(struct manager *m);

/* Takes one, if there is any. */
struct spare_layer spare_layers_take(struct manager *m);
/* Of one that is not needed after all. */
void spare_layers_give_back(struct manager *m, const struct spare_layer *spare);
/* Makes it the layer of its name. False: it could not be moved, and a layer of that name has to be
 * made as if there had been none. */
bool spare_layers_place(struct manager *m, const struct spare_layer *spare);

/* Rows were written with DATABASE_RELAXED: they survive a power cut within a second. */
void spare_layers_settle_soon(struct manager *m);

/* At start: makes a spare layer of the name the layer that a power cut has undone. -ENOENT. */
int spare_layers_rescue(struct manager *m, const char *name);
/* At start: discards those that an agent before this one has left. */
int spare_layers_clear(struct manager *m, struct error *e);
