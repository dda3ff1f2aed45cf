/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts that show other owners than the layers have on disk, without a chown: the mount is
 * made from a detached clone of the store that carries the map (MOUNT_ATTR_IDMAP), and keeps its
 * own clones of that. Used by overlay_mount.c and overlay_probe.c.
 */
#pragma once

#include "base/error.h"
#include "overlay/overlay_features.h"
#include "overlay/overlay_options.h"

/* The spec has a map. Whoever is not in the map, as root of the host may be, can read and change
 * what is in the mount, and make nothing new there: -EOVERFLOW. */
int overlay_idmap_mount(int store, const struct overlay_features *features,
			const struct overlay_spec *spec, int *ret_mount, struct error *e);
