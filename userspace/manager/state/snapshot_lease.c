/* SPDX-License-Identifier: Apache-2.0 */
/* Which leases and records are containerd's, and how others are told that these are not theirs. */
#include "manager/state/snapshot_lease.h"

#include <errno.h>
#include <string.h>

#include "manager/state/manager_limits.h"

bool snapshot_lease_is_one(const char *name)
{
	return strncmp(name, SNAPSHOT_LEASE_PREFIX, strlen(SNAPSHOT_LEASE_PREFIX)) == 0;
}

int snapshot_lease_refuse_record(const struct record *r, const char *what, struct error *e)
{
	if (!r->snapshot)
		return 0;
	return error_set(e, -EBUSY, "record %s is containerd's snapshot '%.200s': %s", r->id,
			 r->description, what);
}

int snapshot_lease_refuse(const char *lease, struct error *e)
{
	return error_set(e, -EBUSY, "the lease '%.*s' is containerd's: it alone takes and releases",
			 MANAGER_LEASE_NAME_MAX, lease);
}
