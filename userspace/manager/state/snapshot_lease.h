/* SPDX-License-Identifier: Apache-2.0 */
/* Which leases and records are containerd's, and how others are told that these are not theirs. */
#pragma once

#include "manager/state/manager_state.h"

/* The slash keeps everybody else from making such a lease. */
#define SNAPSHOT_LEASE_PREFIX "containerd/"
bool snapshot_lease_is_one(const char *name);

/* -EBUSY with a sentence. */
int snapshot_lease_refuse(const char *lease, struct error *e);

/* -EBUSY when the record is a snapshot, with a sentence about what is not done to one. */
int snapshot_lease_refuse_record(const struct record *r, const char *what, struct error *e);
