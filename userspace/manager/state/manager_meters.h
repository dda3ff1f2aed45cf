/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rooms of the manager count of their own work since the agent began. Every function adds
 * without a lock; manager/numbers/ reads.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/ranked_lock.h"
#include "graph/record.h"
#include "usage/usage_fold.h"

/* What starts a prune. */
enum meter_trigger {
	METER_TRIGGER_MANUAL, /* the command line */
	METER_TRIGGER_POLICY, /* the interval */
	METER_TRIGGER_PRESSURE, /* a file system with less space free than a policy wants */
	METER_TRIGGER_API, /* a client of BuildKit's */
	METER_TRIGGER_COUNT,
};

enum meter_result {
	METER_RESULT_DONE,
	METER_RESULT_SHORT,
	METER_RESULT_FAILED,
	METER_RESULT_COUNT
};
enum meter_reason { METER_REASON_SPACE, METER_REASON_AGE, METER_REASON_MANUAL, METER_REASON_COUNT };
/* An eviction is regretted when the layer is made again within this time. */
enum meter_window { METER_WINDOW_DAY, METER_WINDOW_WEEK, METER_WINDOW_COUNT };

/* The types of records that clients use, and one for all others. */
#define METER_TYPES 7

struct meter_pair {
	atomic_uint_fast64_t records, bytes;
};

#define METER_ERRNOS 134

struct manager_meters {
	atomic_uint_fast64_t accessed[LAYER_COUNTERS];
	atomic_uint_fast64_t upkeep[LAYER_COUNTERS]; /* by containerd, the agent and the like */
	struct histogram mounts, unmounts;
	struct histogram prunes;
	atomic_uint_fast64_t prune_runs[METER_TRIGGER_COUNT][METER_RESULT_COUNT];
	struct meter_pair pruned[METER_TYPES][METER_REASON_COUNT];
	atomic_int_fast64_t prune_shortfall_bytes; /* of the last run */
	struct meter_pair regrets[METER_WINDOW_COUNT];
	atomic_uint_fast64_t fetched_bytes;
	struct histogram fetches;
	atomic_uint_fast64_t fetch_errors[METER_ERRNOS]; /* by errno */
	struct lock_meter state_lock, fold_lock, prune_lock;
};

/* The index of a record's type, and the name for an index; the last one is "other". */
size_t manager_meters_type(const char *type);
const char *manager_meters_type_name(size_t index);

void manager_meters_accessed(struct manager_meters *meters, const struct usage_delta *delta);
void manager_meters_upkeep(struct manager_meters *meters, const struct usage_delta *delta);
void manager_meters_pruned(struct manager_meters *meters, const char *type,
			   enum meter_reason reason, int64_t bytes);
/* A layer is made again so long after its eviction. */
void manager_meters_regret(struct manager_meters *meters, int64_t since_ns, int64_t bytes);
/* A fetch that began at this time of the monotonic clock has ended. */
void manager_meters_fetched(struct manager_meters *meters, int64_t begun_ns, int64_t bytes,
			    int code);
