/* SPDX-License-Identifier: Apache-2.0 */
#include "web/metrics_agent.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "manager/state/manager_meters.h"
#include "usage/usage_backend.h"

/* ---- the program ---- */

void metrics_agent_write_info(struct exposition *x, const struct manager_info *info)
{
	exposition_begin(x, EXPOSITION_GAUGE, "varve_build_info", "The version of the agent.");
	exposition_add(x, 1, LABELS({ "version", VARVE_VERSION }));
	exposition_begin(x, EXPOSITION_GAUGE, "varve_bpf_backend_info",
			 "The backend of the accounting; with \"none\" nothing is counted.");
	exposition_add(x, 1, LABELS({ "backend", usage_backend_name(info->backend) }));
	exposition_counter(x, "varve_disk_walks_total", "Layers walked to measure them.",
			   (double)info->disk_walks);
}

/* The two sizes of /proc/self/statm that matter, in pages. */
static void write_memory(struct exposition *x)
{
	cleanup(close_file) FILE *f = fopen("/proc/self/statm", "re");
	double page = (double)sysconf(_SC_PAGESIZE);
	unsigned long size, resident;

	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		return;
	exposition_gauge(x, "process_virtual_memory_bytes", "Virtual memory.", page * (double)size);
	exposition_gauge(x, "process_resident_memory_bytes", "Resident memory.",
			 page * (double)resident);
}

static void write_descriptors(struct exposition *x)
{
	cleanup(close_directory) DIR *folder = opendir("/proc/self/fd");
	struct rlimit limit;
	size_t count = 0;

	if (!folder)
		return;
	while (readdir(folder))
		count++;
	/* Without ".", ".." and the folder's own. */
	exposition_gauge(x, "process_open_fds", "Open descriptors.", (double)count - 3);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		exposition_gauge(x, "process_max_fds", "Limit on open descriptors.",
				 (double)limit.rlim_cur);
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* Field 22 of /proc/self/stat: ticks since the system was booted. */
static void write_start(struct exposition *x)
{
	cleanup(close_file) FILE *f = fopen("/proc/self/stat", "re");
	char line[1024], *field;
	int64_t boot_ns = clock_wall_ns() - clock_boot_ns();
	unsigned long long ticks;

	if (!f || !fgets(line, sizeof(line), f) || !(field = strrchr(line, ')')))
		return;
	if (sscanf(field + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &ticks) == 1)
		exposition_gauge(x, "process_start_time_seconds", "When the process started.",
				 (double)boot_ns / NS_PER_S +
					 (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

void metrics_agent_write_process(struct exposition *x)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		exposition_counter(x, "process_cpu_seconds_total", "CPU time of the agent.",
				   seconds(&usage.ru_utime) + seconds(&usage.ru_stime));
	write_memory(x);
	write_descriptors(x);
	write_start(x);
}

/* ---- accounting ---- */

struct program {
	char name[16];
	uint64_t runs, run_ns;
};

struct programs {
	struct program items[64];
	size_t count;
};

/* Programs of one name are one: while an agent replaces its programs there are two of each. */
static void add_program(const char *name, uint64_t runs, uint64_t run_ns, void *user)
{
	struct programs *all = user;
	size_t i = 0;

	while (i < all->count && strncmp(all->items[i].name, name, sizeof(all->items[i].name)) != 0)
		i++;
	if (i == ARRAY_SIZE(all->items))
		return;
	if (i == all->count)
		(void)snprintf(all->items[all->count++].name, sizeof(all->items[i].name), "%.15s",
			       name);
	all->items[i].runs += runs;
	all->items[i].run_ns += run_ns;
}

static void write_programs(struct exposition *x, struct manager *m)
{
	struct programs all = { .count = 0 };

	(void)numbers_visit_programs(m, add_program, &all); /* those that it found are shown */
	exposition_begin(x, EXPOSITION_COUNTER, "varve_bpf_program_runs_total",
			 "Runs of a program, while the kernel measures programs "
			 "(kernel.bpf_stats_enabled).");
	for (size_t i = 0; i < all.count; i++)
		exposition_add(x, (double)all.items[i].runs,
			       LABELS({ "program", all.items[i].name }));
	exposition_begin(x, EXPOSITION_COUNTER, "varve_bpf_program_run_seconds_total",
			 "Time that a program ran, while the kernel measures programs.");
	for (size_t i = 0; i < all.count; i++)
		exposition_add(x, (double)all.items[i].run_ns / NS_PER_S,
			       LABELS({ "program", all.items[i].name }));
}

void metrics_agent_write_accounting(struct exposition *x, struct manager *m,
				    const struct numbers *n)
{
	struct numbers_lost lost = numbers_lost(m);

	exposition_begin(x, EXPOSITION_COUNTER, "varve_bpf_events_lost_total",
			 "Accesses that could not be counted, or whose file is not known.");
	exposition_add(x, (double)lost.cells, LABELS({ "reason", "cells" }));
	exposition_add(x, (double)lost.files, LABELS({ "reason", "files" }));
	exposition_begin(x, EXPOSITION_GAUGE, "varve_bpf_map_entries", "Entries of a map.");
	exposition_add(x, (double)n->watched_layers, LABELS({ "map", "layer_by_root" }));
	write_programs(x, m);
}

/* ---- work ---- */

static void write_prunes(struct exposition *x, const struct manager_meters *meters)
{
	static const char *const triggers[] = { "manual", "policy", "pressure", "api" };
	static const char *const results[] = { "done", "short", "failed" };

	exposition_begin(x, EXPOSITION_COUNTER, "varve_prune_runs_total",
			 "Prunes, by what started them, and whether they reached their goal.");
	for (size_t i = 0; i < METER_TRIGGER_COUNT; i++)
		for (size_t j = 0; j < METER_RESULT_COUNT; j++)
			exposition_add(x, (double)atomic_load(&meters->prune_runs[i][j]),
				       LABELS({ "trigger", triggers[i] },
					      { "result", results[j] }));
	exposition_begin(x, EXPOSITION_HISTOGRAM, "varve_prune_duration_seconds",
			 "How long a prune took.");
	exposition_add_histogram(x, &meters->prunes, 0.1, 100, NO_LABELS);
	exposition_gauge(x, "varve_prune_shortfall_bytes",
			 "How much more the last prune should have evicted.",
			 (double)atomic_load(&meters->prune_shortfall_bytes));
}

static void write_pruned(struct exposition *x, const struct manager_meters *meters, bool bytes)
{
	static const char *const reasons[] = { "space", "age", "manual" };

	for (size_t i = 0; i < METER_TYPES; i++)
		for (size_t j = 0; j < METER_REASON_COUNT; j++) {
			const struct meter_pair *pair = &meters->pruned[i][j];

			if (atomic_load(&pair->records) > 0)
				exposition_add(x,
					       (double)atomic_load(bytes ? &pair->bytes
									 : &pair->records),
					       LABELS({ "type", manager_meters_type_name(i) },
						      { "reason", reasons[j] }));
		}
}

static void write_regrets(struct exposition *x, const struct manager_meters *meters)
{
	static const char *const windows[] = { "24h", "7d" };

	exposition_begin(x, EXPOSITION_COUNTER, "varve_pruned_records_total",
			 "Records that were evicted.");
	write_pruned(x, meters, false);
	exposition_begin(x, EXPOSITION_COUNTER, "varve_pruned_bytes_total",
			 "Bytes that were evicted.");
	write_pruned(x, meters, true);
	exposition_begin(x, EXPOSITION_COUNTER, "varve_eviction_regrets_total",
			 "Evicted layers that were made again within this time.");
	for (size_t i = 0; i < METER_WINDOW_COUNT; i++)
		exposition_add(x, (double)atomic_load(&meters->regrets[i].records),
			       LABELS({ "window", windows[i] }));
	exposition_begin(x, EXPOSITION_COUNTER, "varve_regretted_bytes_total",
			 "Bytes of evicted layers that were made again within this time.");
	for (size_t i = 0; i < METER_WINDOW_COUNT; i++)
		exposition_add(x, (double)atomic_load(&meters->regrets[i].bytes),
			       LABELS({ "window", windows[i] }));
}

static void write_fetches(struct exposition *x, const struct manager_meters *meters)
{
	exposition_counter(x, "varve_fetch_bytes_total", "Bytes of blobs fetched from registries.",
			   (double)atomic_load(&meters->fetched_bytes));
	exposition_begin(x, EXPOSITION_HISTOGRAM, "varve_fetch_duration_seconds",
			 "How long fetching a blob took.");
	exposition_add_histogram(x, &meters->fetches, 0.01, 100, NO_LABELS);
	exposition_begin(x, EXPOSITION_COUNTER, "varve_fetch_errors_total",
			 "Fetches that failed, by the name of the error.");
	for (int i = 0; i < METER_ERRNOS; i++) {
		const char *name = i > 0 ? strerrorname_np(i) : "other";

		if (atomic_load(&meters->fetch_errors[i]) > 0)
			exposition_add(x, (double)atomic_load(&meters->fetch_errors[i]),
				       LABELS({ "code", name ? name : "other" }));
	}
}

static void write_locks(struct exposition *x, const struct manager_meters *meters)
{
	const struct {
		const char *name;
		const struct lock_meter *meter;
	} locks[] = { { "state", &meters->state_lock },
		      { "fold", &meters->fold_lock },
		      { "prune", &meters->prune_lock } };

	exposition_begin(x, EXPOSITION_HISTOGRAM, "varve_lock_wait_seconds",
			 "How long a thread waited for a lock.");
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
		exposition_add_histogram(x, &locks[i].meter->wait, 0.00001, 1,
					 LABELS({ "lock", locks[i].name }));
	exposition_begin(x, EXPOSITION_HISTOGRAM, "varve_lock_hold_seconds",
			 "How long a thread held a lock.");
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
		exposition_add_histogram(x, &locks[i].meter->hold, 0.00001, 1,
					 LABELS({ "lock", locks[i].name }));
}

void metrics_agent_write_work(struct exposition *x, const struct manager_meters *meters)
{
	write_prunes(x, meters);
	write_regrets(x, meters);
	write_fetches(x, meters);
	exposition_begin(x, EXPOSITION_HISTOGRAM, "varve_mount_duration_seconds",
			 "How long the agent took to mount or to unmount.");
	exposition_add_histogram(x, &meters->mounts, 0.0001, 10, LABELS({ "op", "mount" }));
	exposition_add_histogram(x, &meters->unmounts, 0.0001, 10, LABELS({ "op", "unmount" }));
	write_locks(x, meters);
}

/* ---- calls ---- */

/* The parts of "/package.Service/Method". */
struct method_name {
	char service[80];
	const char *method;
};

static struct method_name split_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct method_name name = { .method = slash + 1 };

	(void)snprintf(name.service, sizeof(name.service), "%.*s", (int)(slash - path - 1),
		       path + 1);
	return name;
}

static void write_handled(struct exposition *x, const struct grpc_meter *meter)
{
	static const char *const statuses[GRPC_METER_STATUSES] = {
		"OK",
		"Canceled",
		"Unknown",
		"InvalidArgument",
		"DeadlineExceeded",
		"NotFound",
		"AlreadyExists",
		"PermissionDenied",
		"ResourceExhausted",
		"FailedPrecondition",
		"Aborted",
		"OutOfRange",
		"Unimplemented",
		"Internal",
		"Unavailable",
		"DataLoss",
		"Unauthenticated",
	};
	struct method_name name = split_path(meter->method->path);

	for (size_t i = 0; i < GRPC_METER_STATUSES; i++)
		if (atomic_load(&meter->handled[i]) > 0)
			exposition_add(x, (double)atomic_load(&meter->handled[i]),
				       LABELS({ "grpc_service", name.service },
					      { "grpc_method", name.method },
					      { "grpc_code", statuses[i] }));
}

static bool was_called(const struct grpc_meter *meter)
{
	return atomic_load(&meter->started) > 0;
}

void metrics_agent_write_calls(struct exposition *x, const struct grpc_meters *calls)
{
	exposition_begin(x, EXPOSITION_COUNTER, "grpc_server_started_total",
			 "Calls that have begun.");
	for (size_t i = 0; i < calls->count; i++) {
		struct method_name name = split_path(calls->items[i].method->path);

		if (was_called(&calls->items[i]))
			exposition_add(x, (double)atomic_load(&calls->items[i].started),
				       LABELS({ "grpc_service", name.service },
					      { "grpc_method", name.method }));
	}
	exposition_begin(x, EXPOSITION_COUNTER, "grpc_server_handled_total",
			 "Calls that have ended, by their status.");
	for (size_t i = 0; i < calls->count; i++)
		write_handled(x, &calls->items[i]);
	exposition_begin(x, EXPOSITION_HISTOGRAM, "varve_rpc_duration_seconds",
			 "How long a call took, until its client had the whole reply.");
	for (size_t i = 0; i < calls->count; i++)
		if (was_called(&calls->items[i]))
			exposition_add_histogram(
				x, &calls->items[i].durations, 0.0001, 10,
				LABELS({ "method", calls->items[i].method->path }));
}
