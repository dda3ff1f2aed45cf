/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the pinned maps: totals since registration, never deltas. The per-CPU parts are summed
 * here; times are CLOCK_BOOTTIME nanoseconds, 0 for never.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "usage/usage_bpf.h"

enum usage_counter {
	USAGE_OPENS,
	USAGE_EXECS,
	USAGE_READS,
	USAGE_READ_BYTES,
	USAGE_WRITES,
	USAGE_WRITTEN_BYTES,
	USAGE_MMAPS,
	USAGE_STATS,
	USAGE_READLINKS,
	USAGE_COPY_UPS,
	USAGE_COPIED_UP_BYTES,
	USAGE_UPPER_CHANGES, /* whatever may have changed the size of the upper */
	USAGE_COUNTER_COUNT,
};

struct usage_totals {
	uint64_t counters[USAGE_COUNTER_COUNT];
	int64_t first_access_boot_ns, last_access_boot_ns;
};

struct usage_cell {
	uint64_t mount_id;
	uint32_t layer; /* 0 = upper, 1 = first lower, … */
	struct usage_totals totals;
};

/* A file is known by the inode number that it has in its layer's own file system. */
struct usage_file {
	uint64_t mount_id;
	uint32_t layer;
	uint64_t inode;
	uint64_t opens, read_bytes;
	int64_t last_access_boot_ns;
};

struct usage_lost {
	uint64_t cells; /* accesses in mounts that found no cell */
	uint64_t files; /* accesses of files that found the file map full */
};

/* Bit n set: the backend cannot see counter n; its zero means nothing. */
uint32_t usage_unseen_counters(enum usage_backend backend);

/* Each visits in no order; a visitor's negative return ends the walk and is returned. */
int usage_read_cells(struct usage_bpf *u, int (*visit)(const struct usage_cell *cell, void *user),
		     void *user, struct error *e);
int usage_read_files(struct usage_bpf *u, int (*visit)(const struct usage_file *file, void *user),
		     void *user, struct error *e);
struct usage_lost usage_read_lost(struct usage_bpf *u);
