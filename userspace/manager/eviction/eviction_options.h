/* SPDX-License-Identifier: Apache-2.0 */
/* What a prune is asked to evict. All that the options point to is borrowed. */
#pragma once

#include <stdatomic.h>

#include "manager/state/manager_meters.h"
#include "prune/prune_policy.h"

/* Of a plan's name, which eviction_plans.c makes. */
#define EVICTION_PLAN_NAME_SIZE 13

struct eviction_options {
	bool all; /* internal, frontend and shared records, too */
	const char *const *filters;
	size_t filter_count;
	int64_t keep_duration_ns; /* 0: records of any age */
	struct prune_limits limits; /* none: every record that matches */
	int64_t free_bytes; /* instead of limits: so much, of what matches; 0: the limits count */
	const char *scorer; /* "" or NULL: the default */
	const char *owner; /* asked to remove its records; NULL or "": evict the store's own */
	const char *policy; /* the policy that these options are of; NULL: none */
	bool to_lazy; /* a record that can be made again from its blob loses its files only */
	bool dry_run; /* makes a plan instead */
	bool forget_plan; /* and does not keep it */
	enum meter_trigger trigger; /* what counts the run; 0: the command line */
	/* The name of a plan, which is executed exactly, with all of the above ignored. -EBUSY when
	 * one of its records has changed since. "" or NULL: none. */
	const char *plan;
	const atomic_bool *cancelled; /* looked at between batches of records; may be NULL */
};
