/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts by mount(2), for kernels that do not take lowers one by one: the mount is made in
 * the store's staging directory, and a detached clone of it is what remains. Used by
 * overlay_mount.c; overlay_staging_clear() also when the agent starts.
 */
#pragma once

#include "base/error.h"
#include "overlay/overlay_mount.h"

/* The spec has been checked. */
int overlay_staging_mount(int store, const struct overlay_features *features,
			  const struct overlay_spec *spec, int *ret_mount, struct error *e);
/* Unmounts and removes what an agent that was killed has left in staging/. Nobody else may be
 * mounting meanwhile. */
int overlay_staging_clear(int store, struct error *e);
