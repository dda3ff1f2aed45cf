/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings a backend's programs into the kernel, pins them, and takes the place of those that an
 * earlier agent pinned. Killed at any point, it leaves what the next call can go on from. Used by
 * usage_bpf.c only.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "usage/usage_backend.h"

struct usage_maps {
	/* Descriptors, -1 while there is no backend. */
	int mount_by_minor, layer_by_root, root_filter, verdicts, cells, touched_owners, layer_uses,
		mapped_files, mapped_filter, file_buffer, file_events, lost, upkeep_marks,
		upkeep_change, upkeep_programs, upkeep_cgroups, cgroup_names;
	uint32_t slot_count;
	bool sees_faults; /* USAGE_MAPPED_BYTES is counted */
};

/* Tries one backend. 0: its programs count. -ENOMEM, else it is refused: *e says why. */
int usage_attach(const struct usage_bpf_options *options, enum usage_backend backend,
		 struct usage_maps *ret_maps, struct error *e);
void usage_attach_close(struct usage_maps *maps);
