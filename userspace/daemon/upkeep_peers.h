/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that use the agent as their snapshotter or differ: containerd, buildkitd. What they
 * read in layers is upkeep. In the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "transport/grpc_peer.h"
#include "transport/grpc_service.h"

struct manager;

struct early_peer {
	int pidfd;
	pid_t pid;
};

struct upkeep_peers {
	struct manager *manager;
	bool can_mark; /* the accounting is there; until then, peers are only collected */
	struct early_peer *early;
	size_t early_count, early_capacity;
	uint64_t *connections; /* those whose peers are known to the accounting */
	size_t count, capacity;
};

/* Before a call is run: its peer's process, by the connection's socket, if the call is one of a
 * snapshotter or a differ. Not through the read-only socket, whose users could hide what they read.
 */
void upkeep_peers_note(struct upkeep_peers *peers, const struct grpc_peer *peer, int socket,
		       const struct grpc_method *method);
/* The store is open. */
void upkeep_peers_begin(struct upkeep_peers *peers);
/* The connection is closed; its process stays what it is. */
void upkeep_peers_forget(struct upkeep_peers *peers, uint64_t connection);
void upkeep_peers_free(struct upkeep_peers *peers);
