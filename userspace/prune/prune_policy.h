/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: what eviction may take without being asked, and how far a limit lets it go. A list of
 * policies runs in order; each is a filter with limits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Bytes, or a share of the file system. */
struct prune_space {
	int64_t bytes;
	double share; /* 0 to 1; instead of bytes unless it is 0 */
};

struct prune_limits {
	struct prune_space reserved; /* this much of the store is never evicted */
	struct prune_space max_used; /* the store's unshared bytes; 0: no limit */
	struct prune_space min_free; /* of the file system; 0: no limit */
};

struct prune_policy {
	char *name;
	char **filters; /* one of them has to match; none: everything does */
	size_t filter_count;
	bool all; /* internal, frontend and shared records, too */
	int64_t keep_duration_ns; /* 0: no matter how young */
	struct prune_limits limits;
	char *scorer; /* "" for the default one */
	char *owner; /* whose records it is about; "" for the store's own */
};

struct prune_policies {
	struct prune_policy *items;
	size_t count;
};

/* Sizes of a file system, from statfs(2). */
struct prune_disk {
	int64_t total_bytes, free_bytes;
	int64_t total_inodes, free_inodes; /* 0: the file system makes inodes as it needs them */
	int64_t store_inodes; /* of these, the store's unshared ones */
};

#define PRUNE_UNLIMITED_BYTES INT64_MAX

/* "10G", "10%". 100% and less; -EINVAL. */
int prune_space_parse(const char *text, struct prune_space *ret_space);
int64_t prune_space_bytes(const struct prune_space *space, const struct prune_disk *disk);
/* Whether less is free than min_free asks for. A size of min_free counts for inodes as the same
 * share of the disk. */
bool prune_limits_are_exceeded(const struct prune_limits *limits, const struct prune_disk *disk);
bool prune_limits_are_set(const struct prune_limits *limits);
/* True when no size is negative and every share is between 0 and 1. An invalid limit could pass for
 * "no limit". */
bool prune_limits_are_valid(const struct prune_limits *limits);

/*
 * How many bytes the store may keep of the used_bytes that it has: max_used, or so much less that
 * min_free is free, but not below reserved. PRUNE_UNLIMITED_BYTES where no limit of bytes is
 * exceeded; 0, which means that everything goes, where there are no limits at all.
 */
int64_t prune_limits_keep(const struct prune_limits *limits, const struct prune_disk *disk,
			  int64_t used_bytes);
/* How many inodes the store has to free so that min_free is free in inodes, too; not more than it
 * has above its reserved share of the file system's inodes. */
int64_t prune_limits_free_inodes(const struct prune_limits *limits, const struct prune_disk *disk);

/* A new policy at the end of the list; NULL: no memory, or (errno EEXIST) there is one of that
 * name. */
struct prune_policy *prune_policies_add(struct prune_policies *p, const char *name);
int prune_policy_add_filter(struct prune_policy *policy, const char *filter); /* -ENOMEM */
int prune_policy_set_scorer(struct prune_policy *policy, const char *scorer); /* -ENOMEM */
int prune_policy_set_owner(struct prune_policy *policy, const char *owner); /* -ENOMEM */
const struct prune_policy *prune_policies_find(const struct prune_policies *p, const char *name);
/* The policies of an agent whose configuration has none, modelled on BuildKit's: sources and cache
 * mounts are evicted first, then records unused for long, then what exceeds the limits. -ENOMEM. */
int prune_policies_defaults(struct prune_policies *p);
void prune_policies_free(struct prune_policies *p); /* what it points to */
