/* SPDX-License-Identifier: Apache-2.0 */
/* The last few plans, for an hour. With the prune lock. */
#pragma once

#include "manager/eviction/eviction_steps.h"

/* Keeps a copy under a name of its own. */
int eviction_plans_keep(struct manager *m, const struct eviction_steps *steps,
			char ret_name[EVICTION_PLAN_NAME_SIZE], struct error *e);

/* NULL: -ENOENT. Stays until it is dropped, as it is once it has been executed. */
const struct eviction_steps *eviction_plans_find(struct manager *m, const char *name,
						 struct error *e);
void eviction_plans_drop(struct manager *m, const char *name);
void eviction_plans_free(struct manager *m);
