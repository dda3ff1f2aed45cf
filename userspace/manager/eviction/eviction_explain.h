/* SPDX-License-Identifier: Apache-2.0 */
/* Why a record is kept, or at which place it would be evicted. */
#pragma once

#include "manager/state/manager_state.h"

struct eviction_explanation {
	char id[RECORD_ID_LENGTH + 1];
	bool kept; /* also without limits */
	char why[500]; /* a sentence: what keeps it, or its score's terms */
	char policy[300]; /* a sentence: whether a policy would evict it now; "" without policies */
	size_t place, places; /* in the order of eviction, from 1; 0 when it is kept */
	double score;
};

/* For a record by its id, or unique prefix of one. -ENOENT. Without the lock. `cancelled` may
 * be NULL. */
int eviction_explain(struct manager *m, const char *id, const atomic_bool *cancelled,
		     struct eviction_explanation *ret_explanation, struct error *e);
