/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_kept.h"

#include <string.h>

#include "base/units.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/eviction/eviction_run.h"
#include "manager/state/store_disk.h"
#include "prune/prune_score.h"

/* Of the layers that are kept: records that nothing holds, and that are nothing but a layer. */
static int64_t sum_kept(struct manager *m)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct record *r;
	int64_t bytes = 0;
	size_t at = 0;

	while ((r = record_graph_next(locked->graph, &at)))
		if (strcmp(r->type, RECORD_TYPE_IMAGE_LAYER) == 0 &&
		    eviction_candidates_is_free(r) && r->layer->owners == 1)
			bytes += r->layer->allocated_bytes;
	return bytes;
}

static bool is_due(struct manager *m, const struct prune_disk *disk)
{
	const struct prune_limits limits = { .min_free = m->keeping.min_free };

	return atomic_exchange(&m->kept_grew, false) || prune_limits_are_exceeded(&limits, disk);
}

static int count_evicted(const struct evicted_record *record, void *user)
{
	(void)record;
	++*(size_t *)user;
	return 0;
}

void eviction_kept_run(struct manager *m, const atomic_bool *cancelled)
{
	static const char *const filters[] = { "type==" RECORD_TYPE_IMAGE_LAYER };
	const struct prune_disk disk = store_disk_read(m);
	struct eviction_options options = {
		.policy = "kept",
		.filters = filters,
		.filter_count = ARRAY_SIZE(filters),
		.scorer = prune_scorer_lru.name,
		.cancelled = cancelled,
	};
	struct eviction_summary s;
	char freed[UNITS_TEXT_MAX];
	struct error e = { 0 };
	size_t evicted = 0;

	if (!is_due(m, &disk))
		return;
	options.free_bytes = prune_keeping_excess(&m->keeping, &disk, sum_kept(m));
	if (options.free_bytes == 0)
		return;
	if (eviction_run(m, &options, count_evicted, &evicted, &s, &e) < 0)
		manager_report(m, true, "evict kept layers: %s", e.text);
	else if (evicted > 0)
		manager_report(m, false, "kept layers evicted=%zu freed=\"%s\"", evicted,
			       units_format_size(s.freed_bytes, freed));
}
