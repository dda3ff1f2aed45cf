/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over the whole store, as metrics show them, and what the agent counted of its own work. One
 * pass over the graph with the lock; nothing is folded, measured or read from disk, so sizes are
 * those of the last measuring, and accesses those of the last fold.
 */
#pragma once

#include "base/error.h"
#include "graph/record.h"
#include "manager/state/manager_meters.h"

struct manager;

enum numbers_kind {
	NUMBERS_PRIVATE, /* committed layers that no external reference names */
	NUMBERS_SHARED, /* committed layers that one names */
	NUMBERS_UPPER, /* layers that can be written */
	NUMBERS_BLOB,
	NUMBERS_METADATA, /* the database */
	NUMBERS_KIND_COUNT,
};

/* Bytes of committed layers that were not read for an hour, a day, 7 and 30 days. */
#define NUMBERS_WINDOWS 4

/* One of the layers that are read most. */
struct numbers_layer {
	char layer[LAYER_NAME_LENGTH + 1];
	char record[RECORD_ID_LENGTH + 1]; /* that is listed with it */
	uint64_t read_bytes;
	int64_t size_bytes, last_read_ns;
};

#define NUMBERS_TOP_LAYERS 75

struct numbers {
	uint64_t records[METER_TYPES], in_use[METER_TYPES];
	uint64_t pinned, lazy, quarantined, layers, leases, mounts_writable, mounts_read_only;
	uint64_t unmeasured; /* layers whose size is not known, or has changed since */
	int64_t bytes[NUMBERS_KIND_COUNT], inodes[NUMBERS_KIND_COUNT];
	int64_t reclaimable_bytes; /* unshared, not in use, not pinned */
	int64_t never_read_bytes, cold_bytes[NUMBERS_WINDOWS];
	struct numbers_layer top[NUMBERS_TOP_LAYERS]; /* the most read first */
	size_t top_count;
	uint64_t watched_layers; /* roots that the kernel looks for */
};

/* The length of a window, in nanoseconds. */
int64_t numbers_window_ns(size_t window);
/* -ENOMEM. Without the lock. */
int numbers_take(struct manager *m, struct numbers *ret_numbers, struct error *e);

/* They live as long as the manager. */
const struct manager_meters *numbers_meters(const struct manager *m);

/* What the kernel could not count. */
struct numbers_lost {
	uint64_t cells, files;
};

struct numbers_lost numbers_lost(struct manager *m);
/* False when the backend cannot see what this counter counts. */
bool numbers_sees(struct manager *m, size_t counter);
/* How often the programs of the accounting ran, by name; see usage_programs.h. */
int numbers_visit_programs(struct manager *m,
			   void (*visit)(const char *name, uint64_t runs, uint64_t run_ns,
					 void *user),
			   void *user);
