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

bool grpc_budget_is_spent(struct grpc_share *share)
{
	size_t held = atomic_load(&share->budget->held_bytes);
	size_t max = share->budget->max_held_bytes;

	if (held > max)
		return true;
	return share->limited && atomic_load(&share->held_bytes) > max - held;
}
