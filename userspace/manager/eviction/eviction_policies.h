/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: what they are, when they run, and what came of it. */
#pragma once

#include "manager/eviction/eviction_run.h"

/* What runs without being asked, in this order. */
struct eviction_policy_view {
	const struct prune_policy *policy; /* as long as the manager */
	struct prune_disk disk;
	int64_t used_bytes, keep_bytes; /* now; 0 unless asked for */
};

/* What they would do now takes a look at every record. *ret_policies is freed with free(3). */
int eviction_policies_list(struct manager *m, bool with_usage,
			   struct eviction_policy_view **ret_policies, size_t *ret_count,
			   struct error *e);

/* Whether they run without being asked. */
bool eviction_policies_are_automatic(const struct manager *m);

/* The options of the policy of that name, whose texts live as long as the manager. -ENOENT. */
int eviction_policies_options(struct manager *m, const char *name,
			      struct eviction_options *ret_options, struct error *e);

/* Whether eviction_policies_run() should be called now: their time has come, or the file system has
 * less free than one of them wants. Cheap. */
bool eviction_policies_are_due(struct manager *m);

/* Runs them all, and reports what they evicted and what they could not. */
void eviction_policies_run(struct manager *m, const atomic_bool *cancelled);
