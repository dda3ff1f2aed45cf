/* SPDX-License-Identifier: Apache-2.0 */
/* Mount and unmount, as clients ask for them. */
#pragma once

#include "manager/state/manager_state.h"

struct manager_mount_options {
	bool read_only;
	/* A lease that holds the record, whose map of ids is for a record without one; NULL or "":
	 * none. */
	const char *lease;
};

/* -EBUSY: also when it is mounted with another map of ids. */
int manager_mount(struct manager *m, const char *id, const struct manager_mount_options *options,
		  char ret_id[RECORD_ID_LENGTH + 1], char **ret_mountpoint, struct error *e);
int manager_unmount(struct manager *m, const char *id, struct error *e);
