/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/periodic.h"

#include <string.h>
#include <time.h>

#include "manager/eviction/eviction.h"
#include "manager/housekeeping.h"
#include "owners/owner_policies.h"

#define TICK_US (CONFIG_TICK_SECONDS * UINT64_C(1000000))

/* Starts work of one kind unless it runs. When the workers are busy, the next tick tries again. */
static void start_work(struct periodic *p, atomic_bool *running, void (*work)(void *arg))
{
	if (!atomic_exchange(running, true) && worker_pool_submit(p->workers, work, p) < 0)
		atomic_store(running, false);
}

static void keep_house(void *arg)
{
	struct periodic *p = arg;

	housekeeping_run(p->manager);
	atomic_store(&p->keeping_house, false);
}

static void run_owner_policies(void *arg)
{
	struct periodic *p = arg;

	owner_policies_run(p->owners, &p->config->file.policies, &p->ending);
	atomic_store(&p->asking_owners, false);
}

static void evict(void *arg)
{
	struct periodic *p = arg;

	eviction_kept_run(p->manager, &p->ending);
	if (eviction_policies_are_due(p->manager)) {
		eviction_policies_run(p->manager, &p->ending);
		/* Apart from the store's own evictions, which an owner that hangs must not delay.
		 */
		if (owner_policies_exist(&p->config->file.policies))
			start_work(p, &p->asking_owners, run_owner_policies);
	}
	atomic_store(&p->evicting, false);
}

static int on_tick(sd_event_source *source, uint64_t now_us, void *user)
{
	struct periodic *p = user;

	(void)now_us;
	if (store_opener_is_done(p->opener)) {
		start_work(p, &p->keeping_house, keep_house);
		start_work(p, &p->evicting, evict);
	}
	(void)sd_event_source_set_time_relative(source, TICK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int periodic_start(struct periodic *p, sd_event *loop, struct error *e)
{
	int code = sd_event_add_time_relative(loop, &p->timer, CLOCK_MONOTONIC, TICK_US, 0, on_tick,
					      p);

	return code < 0 ? error_set(e, code, "timer: %s", strerror(-code)) : 0;
}

void periodic_hurry(struct periodic *p)
{
	atomic_store(&p->ending, true);
}

void periodic_stop(struct periodic *p)
{
	p->timer = sd_event_source_disable_unref(p->timer);
}
