/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that one import makes: a lease of its own holds them until the import ends, and they
 * are removed again unless it succeeds.
 */
#pragma once

#include "manager/state/lease_table.h"

struct image_work {
	struct manager *m; /* NULL: not begun */
	struct lease_holder holder; /* as if it were a connection's */
	char (*made)[RECORD_ID_LENGTH + 1]; /* parents first */
	size_t made_count;
	bool succeeded; /* the records stay */
};

/* For at most so many records. -ENOMEM. */
int image_work_begin(struct manager *m, size_t records, struct image_work *ret_work,
		     struct error *e);

/* Ends the lease. Unless the work succeeded, removes the records, children first, except those that
 * others hold or build on by now. Without the lock. */
void image_work_end(struct image_work *work);
DEFINE_CLEANUP_VALUE(struct image_work, image_work_end)
