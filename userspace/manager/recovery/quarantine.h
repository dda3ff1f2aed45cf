/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine/ in the store: files that no record of the database names, though there is no reason
 * to take them for garbage. Nothing looks into it but `varve fsck`, which deletes it when asked to.
 */
#pragma once

#include "manager/state/manager_state.h"

#define QUARANTINE_PATH_SIZE 64

/* quarantine/TIME; "" until something was put there. */
struct quarantine {
	char path[QUARANTINE_PATH_SIZE];
};

/* Moves layers/x to quarantine/TIME/x, for any path within the store. A directory right below the
 * store is made anew. -ENOENT, without an error text: nothing is there. */
int quarantine_put(struct manager *m, struct quarantine *q, const char *path, struct error *e);
/* Puts it on the disk. */
int quarantine_sync(struct manager *m, const struct quarantine *q, struct error *e);
