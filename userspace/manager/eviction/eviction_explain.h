/* SPDX-License-Identifier: Apache-2.0 */
/* Why a record stays, or at which place it would go. */
#pragma once

#include "manager/state/manager_state.h"

struct eviction_explanation {
	char id[RECORD_ID_LENGTH + 1];
	bool kept; /* whatever the limits */
	char why[400]; /* a sentence: what keeps it, or its score's terms */
	char policy[300]; /* a sentence: what the policies would do about it now; "" without any */
	size_t place, places; /* in the order of eviction, from 1; 0 when it is kept */
	double score;
};

int eviction_explain(struct manager *m, const char *id,
		     struct eviction_explanation *ret_explanation, struct error *e);
