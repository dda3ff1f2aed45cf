/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that the clients of one listening socket have the agent hold: requests, and replies that
 * are not sent yet. A user may hold as much as is left, so that one user gets a half of all, two
 * get a third each, and there is always something for the next one. Thread-safe.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct grpc_budget {
	size_t max_held_bytes;
	atomic_size_t held_bytes;
	atomic_size_t blocked; /* workers that wait for their client to read */
};

/* One user's part. */
struct grpc_share {
	struct grpc_budget *budget;
	bool limited; /* else all that there is may be held: root's */
	atomic_size_t held_bytes;
};

void grpc_budget_hold(struct grpc_share *share, size_t bytes);
void grpc_budget_release(struct grpc_share *share, size_t bytes);
/* No more of a request may be held now. */
bool grpc_budget_is_spent(struct grpc_share *share);
/* A reply has to wait. A part is left for requests, so that clients that do not read do not keep
 * others from calling. */
bool grpc_budget_is_low(struct grpc_share *share);
