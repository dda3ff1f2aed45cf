/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/containerd_client.h"

int containerd_client_connect(const struct containerd_access *access,
			      struct grpc_channel **ret_channel, struct error *e)
{
	struct grpc_channel_options options = {
		.socket = access->socket,
		.peer = "containerd",
		.headers = { { "containerd-namespace", access->namespace },
			     { "containerd-lease", access->lease } },
		.header_count = access->lease ? 2 : 1,
		.cancelled = access->cancelled,
		.patience_ns = access->patience_ns,
		.call_limit_ns = access->call_limit_ns,
	};

	return grpc_channel_open(&options, ret_channel, e);
}
