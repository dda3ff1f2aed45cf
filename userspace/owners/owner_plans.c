/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_plans.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define KEEP_NS (3600 * NS_PER_S)

/* For `cleanup(unlock) struct owner_plans *locked = lock(plans);`. */
static struct owner_plans *lock(struct owner_plans *plans)
{
	pthread_mutex_lock(&plans->lock);
	return plans;
}

static void unlock(struct owner_plans *plans)
{
	pthread_mutex_unlock(&plans->lock);
}
DEFINE_CLEANUP(struct owner_plans *, unlock)

void owner_plans_init(struct owner_plans *plans)
{
	pthread_mutex_init(&plans->lock, NULL);
}

static void drop(struct owner_kept_plan *kept)
{
	owner_plan_free(&kept->plan);
	kept->name[0] = '\0';
}

void owner_plans_destroy(struct owner_plans *plans)
{
	for (size_t i = 0; i < OWNER_PLANS_MAX; i++)
		drop(&plans->items[i]);
	pthread_mutex_destroy(&plans->lock);
}

static struct owner_kept_plan *find(struct owner_plans *plans, const char *name)
{
	for (size_t i = 0; i < OWNER_PLANS_MAX; i++) {
		struct owner_kept_plan *kept = &plans->items[i];

		if (kept->name[0] && clock_boot_ns() - kept->made_boot_ns > KEEP_NS)
			drop(kept);
		if (kept->name[0] && strcmp(kept->name, name) == 0)
			return kept;
	}
	return NULL;
}

/* A free place, or that of the oldest plan. */
static struct owner_kept_plan *make_place(struct owner_plans *plans)
{
	struct owner_kept_plan *oldest = &plans->items[0];

	for (size_t i = 0; i < OWNER_PLANS_MAX; i++) {
		struct owner_kept_plan *kept = &plans->items[i];

		if (!kept->name[0])
			return kept;
		if (kept->made_boot_ns < oldest->made_boot_ns)
			oldest = kept;
	}
	drop(oldest);
	return oldest;
}

static void put(struct owner_plans *plans, const char *name, struct owner_plan *plan)
{
	cleanup(unlock) struct owner_plans *locked = lock(plans);
	struct owner_kept_plan *kept = make_place(plans);

	(void)snprintf(kept->name, sizeof(kept->name), "%s", name);
	kept->made_boot_ns = clock_boot_ns();
	kept->plan = *plan;
	*plan = (struct owner_plan){ 0 };
}

int owner_plans_keep(struct owner_plans *plans, struct owner_plan *plan,
		     char ret_name[EVICTION_PLAN_NAME_SIZE], struct error *e)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return error_set(e, -errno, "getrandom: %s", strerror(errno));
	(void)snprintf(ret_name, EVICTION_PLAN_NAME_SIZE, "%012" PRIx64, random >> 16);
	put(plans, ret_name, plan);
	return 0;
}

bool owner_plans_have(struct owner_plans *plans, const char *name)
{
	cleanup(unlock) struct owner_plans *locked = lock(plans);

	return find(plans, name) != NULL;
}

int owner_plans_take(struct owner_plans *plans, const char *name, struct owner_plan *ret_plan,
		     struct error *e)
{
	cleanup(unlock) struct owner_plans *locked = lock(plans);
	struct owner_kept_plan *kept = find(plans, name);

	if (!kept)
		return error_set(e, -ENOENT,
				 "no plan '%.20s': it was executed, or it is too old (varve prune "
				 "--dry-run makes a new plan)",
				 name);
	*ret_plan = kept->plan;
	kept->plan = (struct owner_plan){ 0 };
	kept->name[0] = '\0';
	return 0;
}

void owner_plans_return(struct owner_plans *plans, const char *name, struct owner_plan *plan)
{
	put(plans, name, plan);
}
