/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_budget.h"

void grpc_budget_hold(struct grpc_share *share, size_t bytes)
{
	atomic_fetch_add(&share->held_bytes, bytes);
	atomic_fetch_add(&share->budget->held_bytes, bytes);
}

void grpc_budget_release(struct grpc_share *share, size_t bytes)
{
	atomic_fetch_sub(&share->held_bytes, bytes);
	atomic_fetch_sub(&share->budget->held_bytes, bytes);
}

static bool is_beyond(struct grpc_share *share, size_t max)
{
	size_t held = atomic_load(&share->budget->held_bytes);

	if (held > max)
		return true;
	return share->limited && atomic_load(&share->held_bytes) > max - held;
}

bool grpc_budget_is_spent(struct grpc_share *share)
{
	return is_beyond(share, share->budget->max_held_bytes);
}

bool grpc_budget_is_low(struct grpc_share *share)
{
	return is_beyond(share, share->budget->max_held_bytes / 4 * 3);
}
