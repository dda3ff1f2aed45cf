/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_policies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "graph/record_filter.h"
#include "prune/prune_score.h"

static int add_filter(struct config_line *l, struct prune_policy *policy, const char *value)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	struct error e = { 0 };

	if (record_filter_parse(&value, 1, &filter, &e) < 0)
		return config_line_refuse(l, "%s", e.text);
	return prune_policy_add_filter(policy, value) == 0 ? 1
							   : config_line_refuse(l, "out of memory");
}

static int set_scorer(struct config_line *l, struct prune_policy *policy, const char *value)
{
	if (!prune_scorer_find(value))
		return config_line_refuse(
			l, "unknown scorer '%.60s' (scorers: " PRUNE_SCORER_NAMES ")", value);
	return prune_policy_set_scorer(policy, value) == 0 ? 1
							   : config_line_refuse(l, "out of memory");
}

/* The policy of the section, which the first line of the section makes. NULL: the fault is noted.
 */
static struct prune_policy *find_policy(struct config_line *l, const char *section)
{
	struct prune_policies *all = &l->file->policies;
	char name[CONFIG_SECTION_NAME_SIZE];

	if (!config_line_section_name(section, "policy", name)) {
		config_line_refuse(
			l,
			"the section of a policy is [policy \"name\"], with a name of 1 to %zu bytes",
			sizeof(name) - 2);
		return NULL;
	}
	if (all->count > 0 && strcmp(all->items[all->count - 1].name, name) == 0)
		return &all->items[all->count - 1];
	if (prune_policies_find(all, name)) {
		config_line_refuse(l, "policy '%s' exists already", name);
		return NULL;
	}
	return prune_policies_add(all, name);
}

int config_policies_read(struct config_line *l, const char *section, const char *name,
			 const char *value)
{
	struct prune_policy *p = find_policy(l, section);

	if (!p)
		return config_line_refuse(l, "out of memory");
	if (strcmp(name, "filter") == 0)
		return add_filter(l, p, value);
	if (strcmp(name, "all") == 0)
		return config_line_flag(l, &p->all, name, value);
	if (strcmp(name, "keep_duration") == 0)
		return config_line_duration(l, &p->keep_duration_ns, name, value);
	if (strcmp(name, "reserved_space") == 0)
		return config_line_space(l, &p->limits.reserved, name, value);
	if (strcmp(name, "max_used_space") == 0)
		return config_line_space(l, &p->limits.max_used, name, value);
	if (strcmp(name, "min_free_space") == 0)
		return config_line_space(l, &p->limits.min_free, name, value);
	if (strcmp(name, "scorer") == 0)
		return set_scorer(l, p, value);
	if (strcmp(name, "owner") == 0)
		return prune_policy_set_owner(p, value) == 0
			       ? 1
			       : config_line_refuse(l, "out of memory");
	return config_line_refuse(
		l,
		"unknown key '%.60s' in a policy (keys: filter, all, keep_duration, "
		"reserved_space, max_used_space, min_free_space, scorer, owner)",
		name);
}

int config_policies_check(const char *path, const struct config_file *f, struct error *e)
{
	for (size_t i = 0; i < f->policies.count; i++) {
		const struct prune_policy *p = &f->policies.items[i];

		if (!p->keep_duration_ns && !prune_limits_are_set(&p->limits))
			return error_set(e, -EINVAL,
					 "%s: policy '%s' would evict everything that it matches, "
					 "at once: it needs a keep_duration or a limit",
					 path, p->name);
		if (*p->owner && !owner_settings_find(&f->owners, p->owner))
			return error_set(e, -EINVAL,
					 "%s: policy '%s' is about the owner '%.60s', for which "
					 "there is no section [buildkit], [docker] or "
					 "[containerd]",
					 path, p->name, p->owner);
	}
	return 0;
}
