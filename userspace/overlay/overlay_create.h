/* SPDX-License-Identifier: Apache-2.0 */
/* Creates overlay mounts whose owners are those on disk, by the method that the probe has chosen.
 * Called by overlay_mount.c, and by overlay_idmap.c for a clone of the store. */
#pragma once

#include "base/error.h"
#include "overlay/overlay_features.h"
#include "overlay/overlay_options.h"

/* The spec has been checked. A map of ids in it is ignored. */
int overlay_create(int store, const struct overlay_features *features,
		   const struct overlay_spec *spec, int *ret_mount, struct error *e);
