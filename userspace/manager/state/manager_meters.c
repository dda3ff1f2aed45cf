/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/manager_meters.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define DAY_NS (24 * 3600 * NS_PER_S)

static const char *const types[METER_TYPES] = {
	"regular",	   "internal", "frontend", "source.local", "source.git.checkout",
	"exec.cachemount", "other",
};

size_t manager_meters_type(const char *type)
{
	for (size_t i = 0; i < METER_TYPES - 1; i++)
		if (strcmp(types[i], type) == 0)
			return i;
	return METER_TYPES - 1;
}

const char *manager_meters_type_name(size_t index)
{
	return types[index];
}

static void add(atomic_uint_fast64_t *counter, uint64_t value)
{
	atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static void add_counters(atomic_uint_fast64_t counters[LAYER_COUNTERS],
			 const struct usage_delta *delta)
{
	for (size_t i = 0; i < LAYER_COUNTERS; i++)
		if (delta->counters[i])
			add(&counters[i], delta->counters[i]);
}

void manager_meters_accessed(struct manager_meters *meters, const struct usage_delta *delta)
{
	add_counters(meters->accessed, delta);
}

void manager_meters_upkeep(struct manager_meters *meters, const struct usage_delta *delta)
{
	add_counters(meters->upkeep, delta);
}

static void add_pair(struct meter_pair *pair, int64_t bytes)
{
	add(&pair->records, 1);
	if (bytes > 0)
		add(&pair->bytes, (uint64_t)bytes);
}

void manager_meters_pruned(struct manager_meters *meters, const char *type,
			   enum meter_reason reason, int64_t bytes)
{
	add_pair(&meters->pruned[manager_meters_type(type)][reason], bytes);
}

void manager_meters_regret(struct manager_meters *meters, int64_t since_ns, int64_t bytes)
{
	if (since_ns <= DAY_NS)
		add_pair(&meters->regrets[METER_WINDOW_DAY], bytes);
	if (since_ns <= 7 * DAY_NS)
		add_pair(&meters->regrets[METER_WINDOW_WEEK], bytes);
}

void manager_meters_fetched(struct manager_meters *meters, int64_t begun_ns, int64_t bytes,
			    int code)
{
	histogram_add(&meters->fetches, clock_monotonic_ns() - begun_ns);
	if (code == 0 && bytes > 0)
		add(&meters->fetched_bytes, (uint64_t)bytes);
	if (code < 0)
		add(&meters->fetch_errors[-code < METER_ERRNOS ? -code : 0], 1);
}
