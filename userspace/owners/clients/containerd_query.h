/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of containerd, one call each. A channel speaks for one namespace; the replies are
 * the caller's to free with protobuf_c_message_free_unpacked(). */
#pragma once

#include "containerd.pb-c.h"
#include "transport/grpc_channel.h"

int containerd_query_leases(struct grpc_channel *ch, Varve__Containerd__ListLeasesReply **ret_reply,
			    struct error *e);
int containerd_query_containers(struct grpc_channel *ch,
				Varve__Containerd__ListContainersReply **ret_reply,
				struct error *e);
/* The snapshot that a lease keeps, without the namespace, and with `name` the one of that name;
 * NULL: it keeps none of this snapshotter, or without `name` more than one, which no record of a
 * cache does. -ENOENT: there is no such lease any more. */
int containerd_query_lease_snapshot(struct grpc_channel *ch, const char *lease,
				    const char *snapshotter, const char *name, char **ret_key,
				    struct error *e);
