/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the disk has the files of a layer before a record or snapshot of it is committed. The
 * kernel reports a page that it could not write once, and then takes it for written: so the layer
 * is marked until the agent ends, and never committed. The caller has reserved the record; without
 * the manager lock. -EIO: the layer lacks data.
 */
#pragma once

#include "base/error.h"

struct layer;
struct manager;

/* layer_sync(). */
int written_layer_sync(struct manager *m, struct layer *layer, int directory, struct error *e);

/* Writes nothing: its mount, whose end has written the files, is gone. */
int written_layer_check(struct manager *m, struct layer *layer, struct error *e);
