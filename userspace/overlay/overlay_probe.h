/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What overlayfs of the running kernel can do: found by trying on a scratch directory of the
 * store, never from a version number. For tests of the fallback, the environment variable
 * VARVE_OVERLAY_METHOD forces a method: "lowerdir+" or "mount".
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum overlay_method {
	OVERLAY_METHOD_LOWERDIR_PLUS, /* fsconfig "lowerdir+", one call a lower; newer kernels */
	OVERLAY_METHOD_MOUNT, /* mount(2) with short relative names onto a staging directory */
};

struct overlay_features {
	enum overlay_method method;
	bool index; /* index=on is accepted, and refuses a layer that is in use */
	bool volatile_mounts;
	char file_system[32]; /* what the store lies on, e.g. "ext4" */
	/* Why owners cannot be shown by a map of ids; "" when they can. */
	char id_map_refusal[192];
};

/* `store` is the store's root directory. Fails, saying what to do, when an overlay with an upper
 * in the store cannot be mounted at all (no permission, no overlayfs, a file system that is
 * refused as upper). Leaves nothing behind. One at a time for a store. */
int overlay_probe(int store, struct overlay_features *ret_features, struct error *e);
const char *overlay_method_name(enum overlay_method method); /* "lowerdir+", "mount" */
