/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/containerd_query.h"

#include <errno.h>
#include <string.h>

#include "owners/clients/message_call.h"

#define CONTAINERS "/containerd.services.containers.v1.Containers/"
#define LEASES "/containerd.services.leases.v1.Leases/"

#define SNAPSHOTS "snapshots/" /* and the name of the snapshotter: the type of a resource */

int containerd_query_leases(struct grpc_channel *ch, Varve__Containerd__ListLeasesReply **ret_reply,
			    struct error *e)
{
	Varve__Containerd__ListLeasesRequest request = VARVE__CONTAINERD__LIST_LEASES_REQUEST__INIT;

	return message_call_one(ch, LEASES "List", &request.base,
				&varve__containerd__list_leases_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

int containerd_query_containers(struct grpc_channel *ch,
				Varve__Containerd__ListContainersReply **ret_reply, struct error *e)
{
	Varve__Containerd__ListContainersRequest request =
		VARVE__CONTAINERD__LIST_CONTAINERS_REQUEST__INIT;

	return message_call_one(ch, CONTAINERS "List", &request.base,
				&varve__containerd__list_containers_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

static bool is_snapshot_of(const Varve__Containerd__Resource *resource, const char *snapshotter)
{
	return strncmp(resource->type, SNAPSHOTS, strlen(SNAPSHOTS)) == 0 &&
	       strcmp(resource->type + strlen(SNAPSHOTS), snapshotter) == 0;
}

int containerd_query_lease_snapshot(struct grpc_channel *ch, const char *lease,
				    const char *snapshotter, const char *name, char **ret_key,
				    struct error *e)
{
	Varve__Containerd__ListResourcesRequest request =
		VARVE__CONTAINERD__LIST_RESOURCES_REQUEST__INIT;
	cleanup(free_message) ProtobufCMessage *message = NULL;
	const Varve__Containerd__ListResourcesReply *reply;
	const char *key = NULL;
	size_t count = 0;
	int code;

	request.id = (char *)lease;
	code = message_call_one(ch, LEASES "ListResources", &request.base,
				&varve__containerd__list_resources_reply__descriptor, &message, e);
	if (code < 0)
		return code;
	reply = (const Varve__Containerd__ListResourcesReply *)message;
	for (size_t i = 0; i < reply->n_resources; i++) {
		if (!is_snapshot_of(reply->resources[i], snapshotter) ||
		    (name && strcmp(reply->resources[i]->id, name) != 0))
			continue;
		key = reply->resources[i]->id;
		count++;
	}
	*ret_key = count == 1 ? strdup(key) : NULL;
	return count == 1 && !*ret_key ? error_set(e, -ENOMEM, "out of memory") : 0;
}
