/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes images that were not read for some time, by asking containerd, and Docker for those in
 * its namespace. One that is pinned or that a container uses is never removed; Varve's own are
 * evicted by `varve prune`.
 */
#pragma once

#include "owners/image_list.h"

struct image_prune_options {
	struct image_list_options list;
	int64_t unread_for_ns;
	bool dry_run;
};

/* Why the image stays; NULL: nothing keeps it. Static. */
const char *image_prune_keep(const struct image_entry *entry, int64_t unread_for_ns,
			     int64_t now_ns);

/* Calls pruned() for each image that was removed, that would be (dry_run), or that containerd did
 * not remove, with a text that says why. -EPERM: the configuration does not allow it; -EAGAIN: a
 * containerd does not answer, and its images are left out. */
int image_prune_run(const struct image_prune_options *o,
		    int (*pruned)(const struct image_entry *entry, const char *refused, void *user),
		    void *user, struct error *e);
