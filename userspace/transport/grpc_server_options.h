/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a server. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct grpc_server_options {
	const struct grpc_service *services; /* ends with NULL methods; copied */
	void *user; /* of the callbacks below */
	/* Runs work(arg) on some other thread; -EAGAIN when that is full. */
	int (*submit)(void (*work)(void *arg), void *arg, void *user);
	/* In the loop, after the last call of that connection has finished. */
	void (*connection_closed)(uint64_t connection, void *user);
	/* Called in the loop before each call: 0 when the peer, on this socket, may make
	 * it, else -EPERM with a text. NULL: every peer may make every call. */
	int (*authorize)(const struct grpc_peer *peer, int socket, const struct grpc_method *method,
			 void *user, struct error *e);
	/* Called in the loop: whether a call of this method may run yet. Other calls wait for
	 * grpc_server_retry_calls(). NULL: every call may. */
	bool (*may_run)(const struct grpc_method *method, void *user);
	size_t max_message_bytes; /* of a request; larger ones end as RESOURCE_EXHAUSTED */
	/* How long a client may leave a request incomplete or its reply unread. */
	uint64_t patience_us;
	/* The loop is run by grpc_server_turn() and by nothing else, on any thread: then a worker
	 * sends its reply itself, instead of waking the loop's thread. */
	bool in_turns;
	const char *unimplemented_hint; /* text for callers of unknown methods; may be NULL */
};
