/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listener_limits.h"

#include "daemon/config.h"

const struct grpc_listener_options *listener_limits(bool read_only)
{
	static const struct grpc_listener_options limits = {
		.max_connections = CONFIG_CONNECTIONS,
		.max_connections_per_user = CONFIG_USER_CONNECTIONS,
		.max_calls = CONFIG_CALLS,
		.max_running = CONFIG_QUEUED_CALLS,
		.max_blocked = CONFIG_WORKERS / 2,
		.max_held_bytes = CONFIG_HELD_BYTES,
	};
	static const struct grpc_listener_options read_only_limits = {
		.read_only = true,
		.max_connections = CONFIG_READ_ONLY_CONNECTIONS,
		.max_connections_per_user = CONFIG_READ_ONLY_USER_CONNECTIONS,
		.max_calls = CONFIG_READ_ONLY_CALLS,
		.max_running = CONFIG_READ_ONLY_WORKERS,
		.max_running_more = CONFIG_READ_ONLY_MORE_WORKERS,
		.max_running_per_user = CONFIG_READ_ONLY_USER_WORKERS,
		.max_running_brief = CONFIG_READ_ONLY_BRIEF_WORKERS,
		.max_blocked = CONFIG_READ_ONLY_MORE_WORKERS / 2,
		.max_held_bytes = CONFIG_READ_ONLY_HELD_BYTES,
		.max_message_bytes = CONFIG_READ_ONLY_MESSAGE_BYTES,
	};

	return read_only ? &read_only_limits : &limits;
}
