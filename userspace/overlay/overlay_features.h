/* SPDX-License-Identifier: Apache-2.0 */
/* What overlayfs of the running kernel can do, as overlay_probe() finds it. */
#pragma once

#include <stdbool.h>

enum overlay_method {
	OVERLAY_METHOD_LOWERDIR_PLUS, /* fsconfig "lowerdir+", one call a lower; newer kernels */
	OVERLAY_METHOD_MOUNT, /* mount(2) with short relative names onto a staging directory */
};

struct overlay_features {
	enum overlay_method method;
	/* Mount with index=on. Off for every mount that is used: a layer has to mean the same by
	 * itself, without the index in its work directory, and in a copy of the store. */
	bool index;
	bool index_guards; /* index=on is accepted, and refuses a layer that is in use */
	bool volatile_mounts;
	bool redirects; /* the default of a mount that does not say redirect_dir=off */
	char file_system[32]; /* what the store lies on, e.g. "ext4" */
	/* Why owners cannot be shown by a map of ids; "" when they can. */
	char id_map_refusal[192];
};
