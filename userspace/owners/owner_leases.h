/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the leases of a namespace of containerd keep. containerd tells that lease by lease: several
 * threads ask, each on a connection of its own.
 */
#pragma once

#include "base/cleanup.h"
#include "owners/clients/containerd_client.h"

struct owner_lease {
	char *id;
	bool gone; /* it was there when the leases were listed */
	char **snapshots; /* of the snapshotter, without the namespace */
	size_t count;
};

struct owner_leases {
	struct owner_lease *items;
	size_t count;
	struct hashmap *by_id;
};

struct owner_leases_options {
	struct containerd_access access; /* its lease is NULL */
	const char *snapshotter;
	int64_t limit_ns; /* for all of it */
	bool (*wanted)(const char *id, void *user); /* whether a lease is read; NULL: all are */
	void *user;
};

/* A lease that is not wanted is in the list, without snapshots. */
int owner_leases_read(const struct owner_leases_options *o, struct owner_leases *ret_leases,
		      struct error *e);
/* NULL: there is none. */
const struct owner_lease *owner_leases_find(const struct owner_leases *leases, const char *id);
void owner_leases_free(struct owner_leases *leases); /* what it points to */
DEFINE_CLEANUP_VALUE(struct owner_leases, owner_leases_free)
