/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/buildkit_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "owners/clients/message_call.h"

#define CONTROL "/moby.buildkit.v1.Control/"
#define ID_MAX 128
#define MAX_REPLY_BYTES ((size_t)64 * 1024 * 1024) /* 100 000 records */

int buildkit_client_connect(const struct buildkit_access *access, struct grpc_channel **ret_channel,
			    struct error *e)
{
	struct grpc_channel_options options = {
		.socket = access->socket,
		.peer = access->peer,
		.upgrade = access->upgrade,
		.max_reply_bytes = MAX_REPLY_BYTES,
		.cancelled = access->cancelled,
		.patience_ns = access->patience_ns,
		.call_limit_ns = access->call_limit_ns,
	};

	return grpc_channel_open(&options, ret_channel, e);
}

int buildkit_client_version(struct grpc_channel *ch, char **ret_version, struct error *e)
{
	Moby__Buildkit__V1__InfoRequest request = MOBY__BUILDKIT__V1__INFO_REQUEST__INIT;
	cleanup(free_message) ProtobufCMessage *message = NULL;
	const Moby__Buildkit__V1__InfoResponse *reply;
	int code = message_call_one(ch, CONTROL "Info", &request.base,
				    &moby__buildkit__v1__info_response__descriptor, &message, e);

	if (code < 0 && code != -ENOSYS && code != -EOPNOTSUPP)
		return code;
	reply = (const Moby__Buildkit__V1__InfoResponse *)message;
	*ret_version =
		strdup(reply && reply->buildkit_version ? reply->buildkit_version->version : "");
	return *ret_version ? 0 : error_set(e, -ENOMEM, "out of memory");
}

bool buildkit_client_can_name(const char *id)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_";
	size_t length = strlen(id);

	return length > 0 && length <= ID_MAX && strspn(id, allowed) == length;
}

/* Writes the filter that only this id matches. */
static int name_one(const char *id, char filter[ID_MAX + 8], struct error *e)
{
	if (!buildkit_client_can_name(id))
		return error_set(e, -EINVAL, "'%.64s' is not the id of a record", id);
	(void)snprintf(filter, ID_MAX + 8, "id==%s", id);
	return 0;
}

int buildkit_client_usage(struct grpc_channel *ch, const char *id,
			  Moby__Buildkit__V1__DiskUsageResponse **ret_reply, struct error *e)
{
	Moby__Buildkit__V1__DiskUsageRequest request = MOBY__BUILDKIT__V1__DISK_USAGE_REQUEST__INIT;
	char filter[ID_MAX + 8], *filters[] = { filter };

	if (id && name_one(id, filter, e) < 0)
		return -EINVAL;
	request.filter = filters;
	request.n_filter = id ? 1 : 0;
	return message_call_one(ch, CONTROL "DiskUsage", &request.base,
				&moby__buildkit__v1__disk_usage_response__descriptor,
				(ProtobufCMessage **)ret_reply, e);
}

/* The record that a prune is about, and what it has removed. */
struct pruning {
	const char *id;
	struct buildkit_pruned pruned;
};

static int note_pruned(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Moby__Buildkit__V1__UsageRecord *record =
		(const Moby__Buildkit__V1__UsageRecord *)reply;
	struct pruning *p = user;

	(void)e;
	if (strcmp(record->id, p->id) == 0)
		p->pruned.done = true;
	else
		p->pruned.others++;
	return 0;
}

int buildkit_client_prune(struct grpc_channel *ch, const char *id, bool all,
			  struct buildkit_pruned *ret_pruned, struct error *e)
{
	Moby__Buildkit__V1__PruneRequest request = MOBY__BUILDKIT__V1__PRUNE_REQUEST__INIT;
	struct pruning p = { .id = id };
	char filter[ID_MAX + 8], *filters[] = { filter };
	int code;

	if (name_one(id, filter, e) < 0)
		return -EINVAL;
	request.filter = filters;
	request.n_filter = 1;
	request.all = all;
	code = message_call_each(ch, CONTROL "Prune", &request.base,
				 &moby__buildkit__v1__usage_record__descriptor, note_pruned, &p, e);
	if (code < 0)
		return code;
	*ret_pruned = p.pruned;
	return 0;
}
