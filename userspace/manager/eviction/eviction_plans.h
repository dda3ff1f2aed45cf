/* SPDX-License-Identifier: Apache-2.0 */
/* The newest plans, which are kept for an hour. All functions are called with the prune lock. */
#pragma once

#include "manager/eviction/eviction_steps.h"

/* Keeps a copy of the plan under a new name. */
int eviction_plans_keep(struct manager *m, const struct eviction_steps *steps,
			char ret_name[EVICTION_PLAN_NAME_SIZE], struct error *e);

/* NULL: -ENOENT. The plan stays until it is dropped, as the caller does once it has executed it. */
const struct eviction_steps *eviction_plans_find(struct manager *m, const char *name,
						 struct error *e);
void eviction_plans_drop(struct manager *m, const char *name);
void eviction_plans_free(struct manager *m);
