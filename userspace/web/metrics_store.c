/* SPDX-License-Identifier: Apache-2.0 */
#include "web/metrics_store.h"

#include "base/clock.h"
#include "manager/eviction/eviction.h"
#include "usage/usage_reader.h"

static void write_types(struct exposition *x, const uint64_t counts[METER_TYPES])
{
	for (size_t i = 0; i < METER_TYPES; i++)
		exposition_add(x, (double)counts[i],
			       LABELS({ "type", manager_meters_type_name(i) }));
}

static void write_records(struct exposition *x, const struct numbers *n)
{
	exposition_begin(x, EXPOSITION_GAUGE, "varve_records",
			 "Records that varve ls shows, by type; other types are \"other\".");
	write_types(x, n->records);
	exposition_begin(x, EXPOSITION_GAUGE, "varve_records_in_use",
			 "Records that a lease holds, or that are below such a record.");
	write_types(x, n->in_use);
	exposition_gauge(x, "varve_records_pinned", "Records that are pinned.", (double)n->pinned);
	exposition_gauge(x, "varve_records_lazy", "Records that have no files yet.",
			 (double)n->lazy);
	exposition_gauge(x, "varve_records_quarantined",
			 "Records that were not loaded because they are damaged (varve fsck).",
			 (double)n->quarantined);
	exposition_gauge(x, "varve_layers", "Layers of all records.", (double)n->layers);
	exposition_gauge(x, "varve_layers_unmeasured",
			 "Layers whose size is not known, or may have changed since it was.",
			 (double)n->unmeasured);
	exposition_gauge(x, "varve_leases", "Leases.", (double)n->leases);
	exposition_begin(x, EXPOSITION_GAUGE, "varve_mounts", "Mounts that the agent has made.");
	exposition_add(x, (double)n->mounts_writable, LABELS({ "mode", "rw" }));
	exposition_add(x, (double)n->mounts_read_only, LABELS({ "mode", "ro" }));
}

static void write_kinds(struct exposition *x, const int64_t values[NUMBERS_KIND_COUNT])
{
	static const char *const kinds[] = { "private", "shared", "upper", "blob", "metadata" };

	for (size_t i = 0; i < NUMBERS_KIND_COUNT; i++)
		exposition_add(x, (double)values[i], LABELS({ "kind", kinds[i] }));
}

static void write_bytes(struct exposition *x, const struct numbers *n)
{
	exposition_begin(x, EXPOSITION_GAUGE, "varve_store_bytes",
			 "Bytes of the store by kind, as last measured; the kinds add up.");
	write_kinds(x, n->bytes);
	exposition_begin(x, EXPOSITION_GAUGE, "varve_store_inodes", "Inodes of the store by kind.");
	write_kinds(x, n->inodes);
	exposition_gauge(x, "varve_reclaimable_bytes",
			 "Bytes of layers that are not shared, in use or pinned.",
			 (double)n->reclaimable_bytes);
}

static void write_cold(struct exposition *x, const struct numbers *n)
{
	static const char *const names[NUMBERS_WINDOWS] = { "1h", "24h", "7d", "30d" };

	exposition_gauge(x, "varve_never_read_bytes",
			 "Bytes of committed layers of which nothing was ever read.",
			 (double)n->never_read_bytes);
	exposition_begin(x, EXPOSITION_GAUGE, "varve_cold_bytes",
			 "Bytes of committed layers of which nothing was read for this long.");
	for (size_t i = 0; i < NUMBERS_WINDOWS; i++)
		exposition_add(x, (double)n->cold_bytes[i], LABELS({ "window", names[i] }));
}

static void write_limit(struct exposition *x, const struct eviction_policy_view *v,
			const char *limit, const struct prune_space *space)
{
	int64_t bytes = prune_space_bytes(space, &v->disk);

	if (bytes > 0)
		exposition_add(x, (double)bytes,
			       LABELS({ "policy", v->policy->name }, { "limit", limit }));
}

/* Policies that cannot be listed, for want of memory, have no series. */
static void write_policies(struct exposition *x, struct manager *m)
{
	cleanup(free_ptr) struct eviction_policy_view *policies = NULL;
	size_t count = 0;

	if (eviction_policies_list(m, EVICTION_POLICIES_NO_USAGE, NULL, &policies, &count, NULL) <
		    0 ||
	    count == 0)
		return;
	exposition_gauge(x, "varve_filesystem_size_bytes", "Size of the store's file system.",
			 (double)policies->disk.total_bytes);
	exposition_gauge(x, "varve_filesystem_avail_bytes",
			 "Bytes of the store's file system that are available.",
			 (double)policies->disk.free_bytes);
	exposition_begin(x, EXPOSITION_GAUGE, "varve_store_limit_bytes", "Limits of the policies.");
	for (size_t i = 0; i < count; i++) {
		const struct prune_limits *l = &policies[i].policy->limits;

		write_limit(x, &policies[i], "reserved", &l->reserved);
		write_limit(x, &policies[i], "max_used", &l->max_used);
		write_limit(x, &policies[i], "min_free", &l->min_free);
	}
}

struct access_family {
	size_t counter;
	const char *name, *help;
};

/* Counters that the backend cannot see are left out, since 0 would be wrong. */
static void write_families(struct exposition *x, struct manager *m,
			   const struct access_family *families, size_t count,
			   const atomic_uint_fast64_t *counters)
{
	for (size_t i = 0; i < count; i++)
		if (numbers_sees(m, families[i].counter))
			exposition_counter(x, families[i].name, families[i].help,
					   (double)atomic_load(&counters[families[i].counter]));
}

static void write_accesses(struct exposition *x, struct manager *m)
{
	static const struct access_family accesses[] = {
		{ USAGE_OPENS, "varve_file_opens_total", "Opens of files in layers." },
		{ USAGE_EXECS, "varve_file_execs_total", "Programs started from layers." },
		{ USAGE_READS, "varve_reads_total", "Reads of files in layers." },
		{ USAGE_READ_BYTES, "varve_read_bytes_total", "Bytes read from files in layers." },
		{ USAGE_MMAPS, "varve_file_mmaps_total", "Mappings of files in layers." },
		{ USAGE_WRITES, "varve_writes_total", "Writes to files in layers." },
		{ USAGE_WRITTEN_BYTES, "varve_written_bytes_total",
		  "Bytes written to files in layers." },
		{ USAGE_COPY_UPS, "varve_copy_ups_total",
		  "Files copied from a lower layer to the upper." },
		{ USAGE_COPIED_UP_BYTES, "varve_copied_up_bytes_total", "Bytes copied up." },
	};
	static const struct access_family upkeep[] = {
		{ USAGE_OPENS, "varve_upkeep_file_opens_total",
		  "Opens by containerd, the agent and the like, which are not in the other counters." },
		{ USAGE_READS, "varve_upkeep_reads_total", "Reads by the same programs." },
		{ USAGE_READ_BYTES, "varve_upkeep_read_bytes_total", "Bytes read by the same." },
	};
	const struct manager_meters *meters = numbers_meters(m);

	write_families(x, m, accesses, ARRAY_SIZE(accesses), meters->accessed);
	write_families(x, m, upkeep, ARRAY_SIZE(upkeep), meters->upkeep);
}

void metrics_store_write(struct exposition *x, struct manager *m, const struct numbers *n,
			 bool counted)
{
	write_records(x, n);
	write_bytes(x, n);
	if (counted)
		write_cold(x, n);
	write_policies(x, m);
	write_accesses(x, m);
}

void metrics_store_write_layers(struct exposition *x, const struct top_layers *top,
				const struct numbers *n)
{
	exposition_gauge(x, "varve_layers_without_series",
			 "Layers that have no series of their own; only the most read ones do.",
			 (double)(n->layers - top->count));
	exposition_begin(x, EXPOSITION_COUNTER, "varve_layer_read_bytes_total",
			 "Bytes read from a layer, by its record; all other layers are \"other\".");
	for (size_t i = 0; i < top->count; i++)
		exposition_add(x, (double)top->shown[i].read_bytes,
			       LABELS({ "layer", top->shown[i].record }));
	exposition_add(x, (double)top->other, LABELS({ "layer", "other" }));
	exposition_begin(x, EXPOSITION_GAUGE, "varve_layer_size_bytes", "Size of a layer.");
	for (size_t i = 0; i < top->count; i++)
		exposition_add(x, (double)top->shown[i].size_bytes,
			       LABELS({ "layer", top->shown[i].record }));
	exposition_begin(x, EXPOSITION_GAUGE, "varve_layer_last_access_timestamp_seconds",
			 "When a layer was read last.");
	for (size_t i = 0; i < top->count; i++)
		exposition_add(x, (double)top->shown[i].last_read_ns / NS_PER_S,
			       LABELS({ "layer", top->shown[i].record }));
}
