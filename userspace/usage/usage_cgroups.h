/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroups whose tasks have read in layers, as the kernel side noted them: also those that are
 * gone. */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct usage_bpf;

/* The path of a cgroup by its number; NULL in *ret_path: its names are not known. The caller frees
 * it. */
int usage_cgroups_find_path(struct usage_bpf *u, uint64_t number, char **ret_path, struct error *e);
/* Empties the map of names when it fills: tasks note them anew. After all that was read has been
 * folded. */
void usage_cgroups_sweep(struct usage_bpf *u);
