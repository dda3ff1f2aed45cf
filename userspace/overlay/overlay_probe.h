/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What overlayfs of the running kernel can do: found by trying on a scratch directory of the
 * store, never from a version number. For tests of the fallback, the environment variable
 * VARVE_OVERLAY_METHOD forces a method: "lowerdir+" or "mount".
 */
#pragma once

#include "base/error.h"
#include "overlay/overlay_features.h"

/* `store` is the store's root directory. Fails, saying what to do, when an overlay with an upper
 * in the store cannot be mounted at all (no permission, no overlayfs, a file system that is
 * refused as upper). Leaves nothing behind. One at a time for a store. */
int overlay_probe(int store, struct overlay_features *ret_features, struct error *e);
/* Whether a superblock has the layer as its upper, in any mount namespace and of any program. Finds
 * out by trying a mount. Changes nothing in the layer. -ENOTSUP: without index_guards. One
 * at a time for a store. */
int overlay_probe_upper_in_use(int store, const struct overlay_features *features,
			       const char *layer, bool *ret_in_use, struct error *e);
const char *overlay_method_name(enum overlay_method method); /* "lowerdir+", "mount" */
