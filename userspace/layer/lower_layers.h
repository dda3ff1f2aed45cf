/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers below a layer show at a path, as overlayfs would: whiteouts and opaque
 * directories hide what is below them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct lower_layers {
	const int *fds; /* of their directories, newest first; borrowed */
	size_t count;
};

/* The topmost directory at the path, or a negative number where there is none. */
int lower_layers_open(const struct lower_layers *l, const char *path);
/* Whether anything is at the path. */
bool lower_layers_have(const struct lower_layers *l, const char *path);
