/* SPDX-License-Identifier: Apache-2.0 */
/* Mount and unmount, as clients ask for them. */
#pragma once

#include "manager/state/manager_state.h"

struct record_mount_options {
	bool read_only;
	/* A lease that holds the record, whose map of ids is for a record without one; NULL or "":
	 * none. */
	const char *lease;
};

/* -EBUSY: also when it is mounted with another map of ids. */
int record_mount(struct manager *m, const char *id, const struct record_mount_options *options,
		 char ret_id[RECORD_ID_LENGTH + 1], char **ret_mountpoint, struct error *e);
int record_mount_end(struct manager *m, const char *id, struct error *e);
