/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"

int prune_space_parse(const char *text, struct prune_space *ret_space)
{
	struct prune_space space = { 0 };
	int code = strchr(text, '%') ? units_parse_share(text, &space.share)
				     : units_parse_size(text, 0, &space.bytes);

	if (code < 0)
		return -EINVAL;
	*ret_space = space;
	return 0;
}

int64_t prune_space_bytes(const struct prune_space *space, const struct prune_disk *disk)
{
	return space->share > 0 ? (int64_t)(space->share * (double)disk->total_bytes)
				: space->bytes;
}

static bool is_set(const struct prune_space *space)
{
	return space->bytes > 0 || space->share > 0;
}

bool prune_limits_are_set(const struct prune_limits *limits)
{
	return is_set(&limits->reserved) || is_set(&limits->max_used) || is_set(&limits->min_free);
}

static bool is_valid(const struct prune_space *space)
{
	return space->bytes >= 0 && space->share >= 0 && space->share <= 1; /* NaN is neither */
}

bool prune_limits_are_valid(const struct prune_limits *limits)
{
	return is_valid(&limits->reserved) && is_valid(&limits->max_used) &&
	       is_valid(&limits->min_free);
}

static double share_of(const struct prune_space *space, const struct prune_disk *disk)
{
	if (space->share > 0)
		return space->share;
	return disk->total_bytes > 0 ? (double)space->bytes / (double)disk->total_bytes : 0;
}

static int64_t missing_bytes(const struct prune_limits *limits, const struct prune_disk *disk)
{
	return prune_space_bytes(&limits->min_free, disk) - disk->free_bytes;
}

static int64_t missing_inodes(const struct prune_limits *limits, const struct prune_disk *disk)
{
	double wanted = share_of(&limits->min_free, disk) * (double)disk->total_inodes;

	if (wanted > (double)disk->total_inodes)
		wanted = (double)disk->total_inodes;
	return (int64_t)wanted - disk->free_inodes;
}

bool prune_limits_are_exceeded(const struct prune_limits *limits, const struct prune_disk *disk)
{
	return missing_bytes(limits, disk) > 0 || missing_inodes(limits, disk) > 0;
}

int64_t prune_limits_free_inodes(const struct prune_limits *limits, const struct prune_disk *disk)
{
	int64_t missing = missing_inodes(limits, disk);
	int64_t reserved =
		(int64_t)(share_of(&limits->reserved, disk) * (double)disk->total_inodes);
	int64_t spare = disk->store_inodes > reserved ? disk->store_inodes - reserved : 0;

	if (missing <= 0)
		return 0;
	return missing < spare ? missing : spare;
}

int64_t prune_limits_keep(const struct prune_limits *limits, const struct prune_disk *disk,
			  int64_t used_bytes)
{
	int64_t keep = PRUNE_UNLIMITED_BYTES, reserved, missing;

	if (!prune_limits_are_set(limits))
		return 0;
	if (is_set(&limits->max_used))
		keep = prune_space_bytes(&limits->max_used, disk);
	missing = missing_bytes(limits, disk);
	if (missing > 0 && used_bytes - missing < keep)
		keep = used_bytes - missing;
	reserved = prune_space_bytes(&limits->reserved, disk);
	if (keep < reserved)
		keep = reserved;
	/* 0 would mean "no limit", so the result is at least one byte. */
	if (keep < 1)
		keep = 1;
	return keep;
}

struct prune_policy *prune_policies_add(struct prune_policies *p, const char *name)
{
	struct prune_policy *items;

	if (prune_policies_find(p, name)) {
		errno = EEXIST;
		return NULL;
	}
	items = realloc(p->items, (p->count + 1) * sizeof(*items));
	if (!items)
		return NULL;
	p->items = items;
	items[p->count] = (struct prune_policy){ .name = strdup(name),
						 .scorer = strdup(""),
						 .owner = strdup("") };
	items += p->count++;
	return items->name && items->scorer && items->owner ? items : NULL;
}

int prune_policy_add_filter(struct prune_policy *policy, const char *filter)
{
	char **filters = realloc(policy->filters, (policy->filter_count + 1) * sizeof(*filters));

	if (!filters)
		return -ENOMEM;
	policy->filters = filters;
	filters[policy->filter_count] = strdup(filter);
	return filters[policy->filter_count++] ? 0 : -ENOMEM;
}

static int set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

int prune_policy_set_scorer(struct prune_policy *policy, const char *scorer)
{
	return set_text(&policy->scorer, scorer);
}

int prune_policy_set_owner(struct prune_policy *policy, const char *owner)
{
	return set_text(&policy->owner, owner);
}

const struct prune_policy *prune_policies_find(const struct prune_policies *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->items[i].name, name) == 0)
			return &p->items[i];
	return NULL;
}

int prune_policies_defaults(struct prune_policies *p)
{
	static const struct prune_limits limits = { .reserved = { .share = 0.1 },
						    .max_used = { .share = 0.6 },
						    .min_free = { .share = 0.2 } };
	static const char *const kinds[] = { "type==source.local", "type==exec.cachemount",
					     "type==source.git.checkout" };
	struct prune_policy *policy = prune_policies_add(p, "sources");

	if (!policy)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (prune_policy_add_filter(policy, kinds[i]) < 0)
			return -ENOMEM;
	policy->keep_duration_ns = 48 * 3600 * NS_PER_S;
	policy->limits.max_used.bytes = INT64_C(512) * 1000 * 1000;
	policy = prune_policies_add(p, "old");
	if (!policy)
		return -ENOMEM;
	policy->keep_duration_ns = 60 * 24 * 3600 * NS_PER_S;
	policy->limits = limits;
	policy = prune_policies_add(p, "space");
	if (!policy)
		return -ENOMEM;
	policy->limits = limits;
	policy = prune_policies_add(p, "everything");
	if (!policy)
		return -ENOMEM;
	policy->limits = limits;
	policy->all = true;
	return 0;
}

void prune_policies_free(struct prune_policies *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct prune_policy *policy = &p->items[i];

		for (size_t k = 0; k < policy->filter_count; k++)
			free(policy->filters[k]);
		free(policy->filters);
		free(policy->name);
		free(policy->scorer);
		free(policy->owner);
	}
	free(p->items);
	*p = (struct prune_policies){ 0 };
}
