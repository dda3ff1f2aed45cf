/* SPDX-License-Identifier: Apache-2.0 */
/* The times of a layer's directories, which can be set only when nothing more is put into them. */
#pragma once

#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/beneath.h"

struct directory_times;

int directory_times_new(int layer_fd, struct directory_times **ret_times, struct error *e);
void directory_times_free(struct directory_times *t);
DEFINE_CLEANUP(struct directory_times *, directory_times_free)

int directory_times_add(struct directory_times *t, const char *path, const struct timespec times[2],
			struct error *e);
/* The times that were added last for a path count. Paths that are no longer directories are
 * skipped. */
int directory_times_set(struct directory_times *t, struct beneath *directories, struct error *e);
