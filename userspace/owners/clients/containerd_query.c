/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/containerd_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owners/clients/message_call.h"

#define LEASES "/containerd.services.leases.v1.Leases/"

#define SNAPSHOTS "snapshots/" /* and the name of the snapshotter: the type of a resource */

int containerd_query_version(struct grpc_channel *ch, char **ret_version, struct error *e)
{
	Varve__Containerd__Empty request = VARVE__CONTAINERD__EMPTY__INIT;
	cleanup(free_message) ProtobufCMessage *message = NULL;
	int code = message_call_one(ch, "/containerd.services.version.v1.Version/Version",
				    &request.base, &varve__containerd__version_reply__descriptor,
				    &message, e);

	if (code < 0)
		return code;
	*ret_version = strdup(((const Varve__Containerd__VersionReply *)message)->version);
	return *ret_version ? 0 : error_set(e, -ENOMEM, "out of memory");
}

int containerd_query_leases(struct grpc_channel *ch, Varve__Containerd__ListLeasesReply **ret_reply,
			    struct error *e)
{
	Varve__Containerd__ListLeasesRequest request = VARVE__CONTAINERD__LIST_LEASES_REQUEST__INIT;

	return message_call_one(ch, LEASES "List", &request.base,
				&varve__containerd__list_leases_reply__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

static bool is_snapshot_of(const Varve__Containerd__Resource *resource, const char *snapshotter)
{
	return strncmp(resource->type, SNAPSHOTS, strlen(SNAPSHOTS)) == 0 &&
	       strcmp(resource->type + strlen(SNAPSHOTS), snapshotter) == 0;
}

int containerd_query_lease_snapshots(struct grpc_channel *ch, const char *lease,
				     const char *snapshotter, char ***ret_keys, size_t *ret_count,
				     struct error *e)
{
	Varve__Containerd__ListResourcesRequest request =
		VARVE__CONTAINERD__LIST_RESOURCES_REQUEST__INIT;
	cleanup(free_message) ProtobufCMessage *message = NULL;
	const Varve__Containerd__ListResourcesReply *reply;
	int code;

	request.id = (char *)lease;
	code = message_call_one(ch, LEASES "ListResources", &request.base,
				&varve__containerd__list_resources_reply__descriptor, &message, e);
	if (code < 0)
		return code;
	reply = (const Varve__Containerd__ListResourcesReply *)message;
	*ret_keys = calloc(reply->n_resources + 1, sizeof(**ret_keys));
	*ret_count = 0;
	for (size_t i = 0; *ret_keys && i < reply->n_resources; i++) {
		if (!is_snapshot_of(reply->resources[i], snapshotter))
			continue;
		(*ret_keys)[*ret_count] = strdup(reply->resources[i]->id);
		if (!(*ret_keys)[(*ret_count)++])
			return error_set(e, -ENOMEM, "out of memory");
	}
	return *ret_keys ? 0 : error_set(e, -ENOMEM, "out of memory");
}
