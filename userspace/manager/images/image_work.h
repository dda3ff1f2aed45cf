/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What importing an image and importing a plain tar share: a lease for one piece of work, and its
 * undoing.
 */
#pragma once

#include "manager/state/lease_table.h"

/* A connection's lease for one piece of work, which leases_connection_closed() ends. */
struct lease_holder image_work_holder(struct manager *m);

/* Removes records that were made, in that order, unless somebody has taken them. */
void image_work_undo(struct manager *m, char (*made)[RECORD_ID_LENGTH + 1], size_t count);
