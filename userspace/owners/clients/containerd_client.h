/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to containerd, on behalf of one of its clients. */
#pragma once

#include "transport/grpc_channel.h"

/* For whom containerd is asked, and how. All is borrowed. */
struct containerd_access {
	const char *socket;
	const char *namespace;
	const char *lease; /* NULL: none */
	const atomic_bool *cancelled; /* may be NULL */
	int64_t patience_ns;
	int64_t call_limit_ns; /* as in grpc_channel.h */
};

/* Every call on the channel carries the namespace and the lease. */
int containerd_client_connect(const struct containerd_access *access,
			      struct grpc_channel **ret_channel, struct error *e);
