/* SPDX-License-Identifier: Apache-2.0 */
/* New records. */
#pragma once

#include "manager/state/lease_table.h"
#include "manager/records/record_draft.h"

/* A mutable record, mounted and held. *ret_mountpoint is the caller's to free. -ENOTSUP: the kernel
 * cannot map ids in this store. */
int record_create(struct manager *m, const struct record_options *options,
		  const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		  char **ret_mountpoint, struct error *e);
