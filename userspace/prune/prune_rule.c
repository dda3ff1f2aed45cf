/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_rule.h"

#include <string.h>

static bool is_kept_type(const char *type)
{
	return strcmp(type, "internal") == 0 || strcmp(type, "frontend") == 0;
}

enum prune_keep prune_rule_keep(const struct prune_rule *rule, const struct record_facts *facts,
				int64_t last_used_ns, int64_t now_ns)
{
	if (facts->pinned)
		return PRUNE_KEEP_PINNED;
	if (!rule->all && facts->shared)
		return PRUNE_KEEP_SHARED;
	if (!rule->all && is_kept_type(facts->type))
		return PRUNE_KEEP_TYPE;
	if (rule->keep_duration_ns && last_used_ns > now_ns - rule->keep_duration_ns)
		return PRUNE_KEEP_YOUNG;
	if (rule->filter && !record_facts_match(facts, rule->filter, now_ns))
		return PRUNE_KEEP_FILTERED;
	return PRUNE_KEEP_NOT;
}

const char *prune_keep_reason(enum prune_keep keep)
{
	static const char *const reasons[PRUNE_KEEP_COUNT] = {
		[PRUNE_KEEP_NOT] = "free",
		[PRUNE_KEEP_HELD] = "held by leases",
		[PRUNE_KEEP_MOUNTED] = "mounted",
		[PRUNE_KEEP_PINNED] = "pinned",
		[PRUNE_KEEP_SHARED] = "needed by others",
		[PRUNE_KEEP_TYPE] = "internal or frontend",
		[PRUNE_KEEP_YOUNG] = "used too recently",
		[PRUNE_KEEP_FILTERED] = "not matched by the filters",
		[PRUNE_KEEP_BUSY] = "being worked on",
		[PRUNE_KEEP_LAZY] = "lazy already",
	};

	return reasons[keep];
}
