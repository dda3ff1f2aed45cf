/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients of one listening socket may have at a time, so that those of one cannot exhaust
 * what those of another need. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct grpc_listener_options {
	bool read_only;
	size_t max_connections;
	size_t max_connections_per_user; /* root is not limited */
	size_t max_calls; /* more are refused with a status that makes clients try again */
	size_t max_running; /* on workers at a time; others wait */
	/* Of these, by calls of users with another call running: the rest is for users that have
	 * none. Root is not limited; 0: nor are others. */
	size_t max_running_more;
	size_t max_running_per_user; /* as above */
	/* Calls of methods that read briefly, besides these; 0: they are like others. */
	size_t max_running_brief;
	size_t max_blocked; /* when more workers wait for slow readers, clients get less time to
			       read */
	size_t max_held_bytes; /* of requests and of replies that are not sent yet */
	size_t max_message_bytes; /* of a request; 0: as the server's */
};
