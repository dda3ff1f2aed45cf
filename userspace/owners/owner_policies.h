/* SPDX-License-Identifier: Apache-2.0 */
/* The policies that are about owners. */
#pragma once

#include "owners/owners.h"

/* Whether there are any. */
bool owner_policies_exist(const struct prune_policies *policies);

/* Runs them in their order, and reports what the owners removed, and goals that they missed. An
 * owner that fails has its reason in the report, and the next policy runs. */
void owner_policies_run(struct owners *all, const struct prune_policies *policies,
			const atomic_bool *cancelled);
