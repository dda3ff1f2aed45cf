/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_plans.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "manager/eviction/eviction_steps.h"
#include "manager/state/manager_state.h"

#define PLANS_MAX 16
#define PLANNED_MAX 200000 /* records in all plans, unless the newest has more: about 40 MiB */
#define PLAN_LIFE_NS (3600 * NS_PER_S)

struct kept_plan {
	char name[EVICTION_PLAN_NAME_SIZE];
	int64_t made_boot_ns;
	struct eviction_steps steps;
	struct kept_plan *next; /* older */
};

static void free_plan(struct kept_plan *p)
{
	eviction_steps_free(&p->steps);
	free(p);
}

/* Drops the oldest plans, to make room for one with so many records. */
static void forget_old(struct manager *m, size_t more)
{
	struct kept_plan **at = &m->plans;
	int64_t now = clock_boot_ns();
	size_t kept = 0, records = more;

	while (*at) {
		struct kept_plan *p = *at;

		records += p->steps.count;
		if (kept < PLANS_MAX - 1 && records <= PLANNED_MAX &&
		    now - p->made_boot_ns < PLAN_LIFE_NS) {
			kept++;
			at = &p->next;
			continue;
		}
		*at = p->next;
		free_plan(p);
	}
}

static void make_name(char name[EVICTION_PLAN_NAME_SIZE])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	unsigned char random[EVICTION_PLAN_NAME_SIZE - 1];

	/* Names must differ, but are not secret. For up to 256 bytes getrandom() does not fail. */
	(void)!getrandom(random, sizeof(random), 0);
	for (size_t i = 0; i < sizeof(random); i++)
		name[i] = digits[random[i] % 32];
	name[sizeof(random)] = '\0';
}

int eviction_plans_keep(struct manager *m, const struct eviction_steps *steps,
			char ret_name[EVICTION_PLAN_NAME_SIZE], struct error *e)
{
	struct kept_plan *p = calloc(1, sizeof(*p));

	forget_old(m, steps->count);
	if (p)
		p->steps.items = calloc(steps->count + 1, sizeof(*steps->items));
	if (!p || !p->steps.items) {
		free(p);
		return error_set(e, -ENOMEM, "out of memory to keep a plan of %zu records",
				 steps->count);
	}
	memcpy(p->steps.items, steps->items, steps->count * sizeof(*steps->items));
	p->steps.count = steps->count;
	memcpy(p->steps.by, steps->by, sizeof(p->steps.by));
	p->steps.freed_bytes = steps->freed_bytes;
	p->steps.remaining_bytes = steps->remaining_bytes;
	p->made_boot_ns = clock_boot_ns();
	make_name(p->name);
	memcpy(ret_name, p->name, sizeof(p->name));
	p->next = m->plans;
	m->plans = p;
	return 0;
}

const struct eviction_steps *eviction_plans_find(struct manager *m, const char *name,
						 struct error *e)
{
	for (struct kept_plan *p = m->plans; p; p = p->next)
		if (strcmp(p->name, name) == 0 && clock_boot_ns() - p->made_boot_ns < PLAN_LIFE_NS)
			return &p->steps;
	error_set(e, -ENOENT,
		  "no plan '%.20s': it was executed, is older than an hour, or was made before "
		  "the agent started (varve prune --dry-run makes a new one)",
		  name);
	return NULL;
}

void eviction_plans_drop(struct manager *m, const char *name)
{
	for (struct kept_plan **at = &m->plans; *at; at = &(*at)->next) {
		struct kept_plan *p = *at;

		if (strcmp(p->name, name) == 0) {
			*at = p->next;
			free_plan(p);
			return;
		}
	}
}

void eviction_plans_free(struct manager *m)
{
	struct kept_plan *next;

	for (struct kept_plan *p = m->plans; p; p = next) {
		next = p->next;
		free_plan(p);
	}
	m->plans = NULL;
}
