/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts by mount(2), for kernels that do not take lowers one by one: the mount is made in
 * the store's staging directory, and a detached clone of it is what remains. Used by
 * overlay_create.c, and its stages by overlay_idmap.c; overlay_staging_clear() also when the agent
 * starts.
 */
#pragma once

#include "base/error.h"
#include "overlay/overlay_features.h"
#include "overlay/overlay_options.h"

/* A directory of staging/ that only root can enter, with a mount point in it: what is mounted there
 * is seen in no other mount namespace. The paths are good while the store is open. */
struct overlay_stage {
	char directory[48], point[sizeof("/m") + 48];
};

int overlay_staging_begin(int store, struct overlay_stage *ret_stage, struct error *e);
/* With what is mounted there. What cannot be removed now is found by overlay_staging_clear(). */
void overlay_staging_end(const struct overlay_stage *stage);

/* The spec has been checked. */
int overlay_staging_mount(int store, const struct overlay_features *features,
			  const struct overlay_spec *spec, int *ret_mount, struct error *e);
/* Unmounts and removes what an agent that was killed has left in staging/. Nobody else may be
 * mounting meanwhile. */
int overlay_staging_clear(int store, struct error *e);
