/* SPDX-License-Identifier: Apache-2.0 */
/* The open directories of the layers below one, newest first, as an extraction looks into them. */
#pragma once

#include "manager/state/manager_state.h"

struct lower_directories {
	int *fds;
	size_t count, capacity;
};

/* Opens the layer's directory and adds it. */
int lower_directories_add(struct manager *m, struct lower_directories *l, const char *layer,
			  struct error *e);
void lower_directories_close(struct lower_directories *l);
DEFINE_CLEANUP_VALUE(struct lower_directories, lower_directories_close)
