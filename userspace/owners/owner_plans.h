/* SPDX-License-Identifier: Apache-2.0 */
/* The newest plans over what owners have, which are kept for an hour. Thread-safe. */
#pragma once

#include <pthread.h>

#include "owners/owner_plan.h"

#define OWNER_PLANS_MAX 16

struct owner_plans {
	pthread_mutex_t lock;
	struct owner_kept_plan {
		char name[EVICTION_PLAN_NAME_SIZE]; /* "": a free place */
		int64_t made_boot_ns;
		struct owner_plan plan;
	} items[OWNER_PLANS_MAX];
};

void owner_plans_init(struct owner_plans *plans);
void owner_plans_destroy(struct owner_plans *plans);

/* Takes the plan, and gives it a new name. */
int owner_plans_keep(struct owner_plans *plans, struct owner_plan *plan,
		     char ret_name[EVICTION_PLAN_NAME_SIZE], struct error *e);
bool owner_plans_have(struct owner_plans *plans, const char *name);
/* Hands the plan over to the caller: it is no longer kept. -ENOENT. */
int owner_plans_take(struct owner_plans *plans, const char *name, struct owner_plan *ret_plan,
		     struct error *e);
/* Keeps a plan again under the name that it had. */
void owner_plans_return(struct owner_plans *plans, const char *name, struct owner_plan *plan);
