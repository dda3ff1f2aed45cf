/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: which records a prune may take at all, before any is compared with another. */
#pragma once

#include "graph/record_facts.h"
#include "prune/prune_score.h"

/* Why a record stays, whatever the limit; the first that applies. */
enum prune_keep {
	PRUNE_KEEP_NOT,
	PRUNE_KEEP_HELD,
	PRUNE_KEEP_MOUNTED,
	PRUNE_KEEP_PINNED,
	PRUNE_KEEP_SHARED,
	PRUNE_KEEP_TYPE,
	PRUNE_KEEP_YOUNG,
	PRUNE_KEEP_FILTERED,
	PRUNE_KEEP_BUSY,
	PRUNE_KEEP_LAZY, /* it is to fall back to lazy, and is that already */
	PRUNE_KEEP_COUNT,
};

/* What may go, of which records, and how they are ranked. */
struct prune_rule {
	bool all; /* internal, frontend and shared records, too */
	bool to_lazy; /* what could be made of its blob again keeps its record, and that */
	int64_t keep_duration_ns; /* 0: no matter how young */
	const struct record_filter *filter; /* NULL: everything matches */
	const struct prune_scorer *scorer;
};

/* What the rule says of a record that nothing holds: pinned or later in the list. last_used_ns is
 * the one that the scorer looks at. */
enum prune_keep prune_rule_keep(const struct prune_rule *rule, const struct record_facts *facts,
				int64_t last_used_ns, int64_t now_ns);
/* A phrase such as "held by leases", for "3 GiB held by leases". */
const char *prune_keep_reason(enum prune_keep keep);
