/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_policies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/units.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/eviction/eviction_run.h"
#include "manager/records/layer_sizes.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_disk.h"

/* Other programs may keep the disk full: the agent does not look at every record all the time. */
#define LOW_SPACE_PAUSE_NS (60 * NS_PER_S)

struct eviction_options eviction_policies_options_of(const struct prune_policy *p)
{
	return (struct eviction_options){ .policy = p->name,
					  .all = p->all,
					  .filters = (const char *const *)p->filters,
					  .filter_count = p->filter_count,
					  .keep_duration_ns = p->keep_duration_ns,
					  .limits = p->limits,
					  .scorer = p->scorer,
					  .owner = p->owner };
}

int eviction_policies_options(struct manager *m, const char *name,
			      struct eviction_options *ret_options, struct error *e)
{
	const struct prune_policy *p = m->policies ? prune_policies_find(m->policies, name) : NULL;

	if (!p)
		return error_set(e, -ENOENT, "no policy '%.100s' (varve policy show)", name);
	*ret_options = eviction_policies_options_of(p);
	return 0;
}

int eviction_policies_list(struct manager *m, enum eviction_policies_usage usage,
			   const atomic_bool *cancelled, struct eviction_policy_view **ret_policies,
			   size_t *ret_count, struct error *e)
{
	static const struct prune_rule everything = { .all = true, .scorer = &prune_scorer_access };
	cleanup(eviction_candidates_free) struct eviction_candidates candidates = {
		.disk = store_disk_read(m)
	};
	size_t count = m->policies ? m->policies->count : 0;
	struct eviction_policy_view *policies = NULL;
	bool with_usage = usage != EVICTION_POLICIES_NO_USAGE;
	int code = usage == EVICTION_POLICIES_MEASURED ? layer_sizes_measure(m, cancelled, e) : 0;

	if (code < 0)
		return code;
	code = with_usage ? eviction_candidates_gather(m, &everything, cancelled, &candidates, e)
			  : 0;
	if (code < 0)
		return code;
	policies = calloc(count + 1, sizeof(*policies));
	if (!policies)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct prune_policy *p = &m->policies->items[i];

		policies[i] = (struct eviction_policy_view){ .policy = p,
							     .scorer = prune_scorer_name(p->scorer),
							     .disk = candidates.disk,
							     .used_bytes = candidates.used_bytes };
		if (with_usage)
			policies[i].keep_bytes = prune_limits_keep(&p->limits, &candidates.disk,
								   candidates.used_bytes);
	}
	*ret_policies = policies;
	*ret_count = count;
	return 0;
}

bool eviction_policies_are_automatic(const struct manager *m)
{
	return m->automatic;
}

static bool space_is_low(struct manager *m)
{
	struct prune_disk disk = store_disk_read(m);

	for (size_t i = 0; i < m->policies->count; i++)
		if (prune_limits_are_exceeded(&m->policies->items[i].limits, &disk))
			return true;
	return false;
}

static void tell_low_space(struct manager *m)
{
	struct prune_disk disk = store_disk_read(m);
	struct ring_event event = { .kind = EVENT_LOW_SPACE, .bytes = disk.free_bytes };

	(void)snprintf(event.detail, sizeof(event.detail),
		       "the file system of the store has less free than a policy wants");
	event_ring_add(m->events, &event);
}

bool eviction_policies_are_due(struct manager *m)
{
	int64_t now = clock_boot_ns();

	if (!m->automatic || !m->policies || m->policies->count == 0)
		return false;
	if (m->policy_interval_ns &&
	    now - atomic_load(&m->policies_ran_boot_ns) >= m->policy_interval_ns)
		return true;
	if (now - atomic_load(&m->space_was_low_boot_ns) < LOW_SPACE_PAUSE_NS || !space_is_low(m))
		return false;
	atomic_store(&m->space_was_low_boot_ns, now);
	tell_low_space(m);
	return true;
}

static int count_pruned(const struct evicted_record *record, void *user)
{
	(void)record;
	++*(size_t *)user;
	return 0;
}

void eviction_policies_run(struct manager *m, const atomic_bool *cancelled)
{
	enum meter_trigger trigger = m->policies && space_is_low(m) ? METER_TRIGGER_PRESSURE
								    : METER_TRIGGER_POLICY;

	for (size_t i = 0; m->policies && i < m->policies->count; i++) {
		const struct prune_policy *p = &m->policies->items[i];
		struct eviction_options options = eviction_policies_options_of(p);
		struct eviction_summary s;
		char freed[UNITS_TEXT_MAX];
		struct error e = { 0 };
		size_t evicted = 0;

		if (*p->owner) /* the owner is asked later, by owners/owner_policies.c */
			continue;
		options.cancelled = cancelled;
		options.trigger = trigger;
		if (eviction_run(m, &options, count_pruned, &evicted, &s, &e) < 0)
			manager_report(m, true, "policy=%s %s", p->name, e.text);
		else if (evicted > 0)
			manager_report(m, false, "policy=%s evicted=%zu freed=\"%s\"", p->name,
				       evicted, units_format_size(s.freed_bytes, freed));
		if (!s.goal_reached && *s.shortfall)
			manager_report(m, true, "policy=%s goal missed: %s", p->name, s.shortfall);
		if (is_cancelled(cancelled))
			break;
	}
	atomic_store(&m->policies_ran_boot_ns, clock_boot_ns());
}
