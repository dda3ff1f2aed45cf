/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pin folders of this host, those of other stores and of stores that are gone among them: what
 * each costs, and how to be rid of it.
 */
#pragma once

#include "usage/usage_owner.h"

struct usage_folder {
	const char *path; /* /sys/fs/bpf/varve…/vN */
	struct usage_owner owner;
	uint32_t links; /* programs that are attached by it */
	uint64_t runs,
		run_ns; /* of these; 0 unless the kernel measures (kernel.bpf_stats_enabled) */
};

/* Visits each; a visitor's negative return ends the walk and is returned. */
int usage_folders_visit(int (*visit)(const struct usage_folder *folder, void *user), void *user);

/* Removes those whose store is proved to be gone, and says so. */
int usage_folders_remove_gone(void (*removed)(const struct usage_folder *folder, void *user),
			      void *user, struct error *e);

/* Removes one by its path, with or without the version. -EBUSY: an agent uses it. -EEXIST: its
 * store exists. -ENOENT, -EINVAL: that is not a pin folder. */
int usage_folders_remove(const char *path, struct error *e);
