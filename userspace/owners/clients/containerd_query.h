/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of containerd, one call each. A channel speaks for one namespace; the replies are
 * the caller's to free with protobuf_c_message_free_unpacked(). */
#pragma once

#include "containerd.pb-c.h"
#include "transport/grpc_channel.h"

/* The version, the caller's to free. */
int containerd_query_version(struct grpc_channel *ch, char **ret_version, struct error *e);
int containerd_query_leases(struct grpc_channel *ch, Varve__Containerd__ListLeasesReply **ret_reply,
			    struct error *e);
/* The snapshots of this snapshotter that a lease keeps, without the namespace. The texts and the
 * array are the caller's to free. -ENOENT: there is no such lease any more. */
int containerd_query_lease_snapshots(struct grpc_channel *ch, const char *lease,
				     const char *snapshotter, char ***ret_keys, size_t *ret_count,
				     struct error *e);
