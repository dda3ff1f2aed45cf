/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that requests, and replies that are not sent yet, take for the clients of one
 * listening socket. A user may take as much as is left, so one user gets half of all, two users get
 * a third each, and some is always left for another user. Thread-safe.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct grpc_budget {
	size_t max_held_bytes;
	atomic_size_t held_bytes;
	atomic_size_t blocked; /* number of workers that wait for clients to read */
};

/* One user's part. */
struct grpc_share {
	struct grpc_budget *budget;
	bool limited; /* not set for root, which may take all */
	atomic_size_t held_bytes;
};

void grpc_budget_hold(struct grpc_share *share, size_t bytes);
void grpc_budget_release(struct grpc_share *share, size_t bytes);
/* True when a request may not grow now. */
bool grpc_budget_is_spent(struct grpc_share *share);
/* True when a reply has to wait. Replies leave a part for requests, so that clients that do not
 * read do not keep others from calling. */
bool grpc_budget_is_low(struct grpc_share *share);
