/* SPDX-License-Identifier: Apache-2.0 */
/* The end of records and their layers. */
#pragma once

#include "manager/state/manager_state.h"

int record_delete(struct manager *m, const char *id, struct error *e);

/* Nobody holds the record and it is not to be retained: it should be deleted. */
bool record_delete_is_due(const struct record *r);

/* Deletes reserved records and their twins, all or none: they are not held, and the children of
 * each are among those before it; no two of them share a layer. On failure they stay as they were,
 * reserved. Without the lock. */
int record_delete_evicted(struct manager *m, struct record *const *records, size_t count,
			  const char *by, struct error *e);
int record_delete_reserved(struct manager *m, struct record *const *records, size_t count,
			   struct error *e);
