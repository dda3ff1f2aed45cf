/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_policies.h"

#include "base/cancellation.h"
#include "base/units.h"
#include "manager/eviction/eviction_policies.h"

bool owner_policies_exist(const struct prune_policies *policies)
{
	for (size_t i = 0; i < policies->count; i++)
		if (*policies->items[i].owner)
			return true;
	return false;
}

static int count_removed(const struct owner_outcome *outcome, void *user)
{
	*(size_t *)user += !outcome->refused;
	return 0;
}

static void run(struct owners *all, const struct prune_policy *p, const atomic_bool *cancelled)
{
	struct eviction_options options = eviction_policies_options_of(p);
	struct eviction_summary s = { 0 };
	char freed[UNITS_TEXT_MAX];
	struct error e = { 0 };
	size_t removed = 0;
	int code;

	options.cancelled = cancelled;
	code = owners_prune(all, p->owner, &options, count_removed, &removed, &s, &e);
	if (code < 0)
		owners_report(all, true, "policy=%s owner=%s %s", p->name, p->owner, e.text);
	if (removed > 0)
		owners_report(all, false, "policy=%s owner=%s evicted=%zu freed=\"%s\"", p->name,
			      p->owner, removed, units_format_size(s.freed_bytes, freed));
	if (code == 0 && !s.goal_reached && *s.shortfall)
		owners_report(all, true, "policy=%s owner=%s goal missed: %s", p->name, p->owner,
			      s.shortfall);
}

void owner_policies_run(struct owners *all, const struct prune_policies *policies,
			const atomic_bool *cancelled)
{
	for (size_t i = 0; i < policies->count && !is_cancelled(cancelled); i++)
		if (*policies->items[i].owner)
			run(all, &policies->items[i], cancelled);
}
