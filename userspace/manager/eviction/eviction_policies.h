/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: what they are, when they run, and what they evicted. Without the lock. */
#pragma once

#include "manager/eviction/eviction_run.h"

/* A policy, and what its limits mean for the store now. */
struct eviction_policy_view {
	const struct prune_policy *policy; /* lives as long as the manager */
	const char *scorer; /* by name, also where the policy names none; static */
	struct prune_disk disk;
	int64_t used_bytes, keep_bytes; /* 0 without usage */
};

enum eviction_policies_usage {
	EVICTION_POLICIES_NO_USAGE,
	EVICTION_POLICIES_AS_KNOWN, /* looks at every record, and measures none */
	EVICTION_POLICIES_MEASURED,
};

/* All policies in the order in which they run. The caller frees *ret_policies with free(3).
 * `cancelled` may be NULL. */
int eviction_policies_list(struct manager *m, enum eviction_policies_usage usage,
			   const atomic_bool *cancelled, struct eviction_policy_view **ret_policies,
			   size_t *ret_count, struct error *e);

/* Whether policies run by themselves. */
bool eviction_policies_are_automatic(const struct manager *m);

/* What a policy means as options, whose texts are the policy's. */
struct eviction_options eviction_policies_options_of(const struct prune_policy *p);
/* The options of the policy of that name, whose texts live as long as the manager. -ENOENT. */
int eviction_policies_options(struct manager *m, const char *name,
			      struct eviction_options *ret_options, struct error *e);

/* Whether eviction_policies_run() should be called now: the interval is over, or the file system
 * has less space free than a policy demands. Cheap. */
bool eviction_policies_are_due(struct manager *m);

/* Runs all policies about the store's own records, and reports what they evicted, and goals that
 * they missed. */
void eviction_policies_run(struct manager *m, const atomic_bool *cancelled);
