/* SPDX-License-Identifier: Apache-2.0 */
/* BuildKit's control service, as far as it manages a cache: buildkitd has it on its socket, and
 * dockerd behind an upgrade on that of its API. */
#pragma once

#include "control.pb-c.h"
#include "transport/grpc_channel.h"

/* All is borrowed. */
struct buildkit_access {
	const char *socket;
	const char *peer; /* for texts */
	const char *upgrade; /* as in grpc_channel.h */
	const atomic_bool *cancelled; /* may be NULL */
	int64_t patience_ns, call_limit_ns;
};

int buildkit_client_connect(const struct buildkit_access *access, struct grpc_channel **ret_channel,
			    struct error *e);

/* The version, the caller's to free; "" when the server is too old to tell. */
int buildkit_client_version(struct grpc_channel *ch, char **ret_version, struct error *e);

/* All records, or the one of this id if it is there. The reply is the caller's to free. */
int buildkit_client_usage(struct grpc_channel *ch, const char *id,
			  Moby__Buildkit__V1__DiskUsageResponse **ret_reply, struct error *e);

/* Whether a filter can name this id and no other: others are never asked for. */
bool buildkit_client_can_name(const char *id);

/* What a prune of one record removed. */
struct buildkit_pruned {
	bool done; /* the record itself */
	size_t others; /* records besides it, which were not asked for */
};

/* Asks for this record to be removed; `all`: also if an image shares it. That it stayed is not an
 * error. */
int buildkit_client_prune(struct grpc_channel *ch, const char *id, bool all,
			  struct buildkit_pruned *ret_pruned, struct error *e);
