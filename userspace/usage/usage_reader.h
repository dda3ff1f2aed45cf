/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the pinned maps: totals since registration, never deltas. The per-CPU parts are summed
 * here; times are CLOCK_BOOTTIME nanoseconds, 0 for never.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "usage/usage_backend.h"

struct usage_bpf;

/* Of regular files unless said otherwise; an open with O_PATH is none. */
enum usage_counter {
	USAGE_OPENS, /* an exec is an open, too */
	USAGE_EXECS, /* overlay: also of scripts and of the dynamic loader */
	USAGE_READS, /* overlay: also those that an exec makes, and each step of a splice */
	USAGE_READ_BYTES, /* reads queued by AIO on O_DIRECT count with 0 bytes */
	USAGE_WRITES,
	USAGE_WRITTEN_BYTES,
	USAGE_MMAPS, /* overlay: also the segments that an exec maps */
	USAGE_STATS, /* of anything, in the layer that has its attributes */
	USAGE_READLINKS, /* by readlink(2), and by following the link */
	USAGE_COPY_UPS, /* in the lower layer that the file came from; syscall: files in the upper
			   that were opened for writing and are in a lower, each once a mount */
	USAGE_COPIED_UP_BYTES, /* likewise; without data (O_TRUNC, metacopy) 0 */
	USAGE_UPPER_CHANGES, /* whatever may have changed the size of the upper; layer 0 only */
	USAGE_READ_OPENS, /* those opens that can read, and have not created the file */
	USAGE_MAPPED_BYTES, /* mapped in by faults, with the pages that the kernel maps around: an
			       upper bound of what is touched through mappings */
	USAGE_COUNTER_COUNT,
};
#define USAGE_ALL_COUNTERS ((1U << USAGE_COUNTER_COUNT) - 1)

/* Read are files that are opened for reading, executed, mapped or read. Times are exact to a tick
 * of the kernel, 10 ms at most. */
struct usage_totals {
	uint64_t counters[USAGE_COUNTER_COUNT];
	uint64_t uses; /* of a layer: a use is a superblock and an hour; of a mount 0 */
	int64_t first_read_boot_ns, last_read_boot_ns, last_write_boot_ns;
};

struct usage_cell {
	uint64_t owner; /* a mount's id, or what usage_layers_watch() returned */
	uint32_t layer; /* 0 = upper, 1 = first lower, …; of a layer USAGE_AS_UPPER or _LOWER */
	bool upkeep; /* what upkeep read; the layer has another cell for all else */
	struct usage_totals totals;
};

/* A file is known by the inode number that it has in its layer's own file system. */
struct usage_file {
	uint64_t mount_id;
	uint32_t layer;
	uint64_t inode; /* 0: not a file, see `lost` */
	uint64_t opens; /* for reading */
	uint64_t read_bytes;
	uint64_t mapped_bytes;
	uint64_t
		lost; /* accesses of unknown files: of the layer; of any layer when mount_id is 0 */
	int64_t last_access_boot_ns;
	/* Not a file, but what the tasks of a cgroup read in the layer: `inode` is the cgroup's
	 * number (0: none is known), or USAGE_OTHER_READERS. */
	bool is_reader, upkeep;
	uint64_t reads;
};

/* False for a file that was mapped but not touched, or only written. */
static inline bool usage_file_was_read(const struct usage_file *file)
{
	return file->opens > 0 || file->read_bytes > 0 || file->mapped_bytes > 0;
}

struct usage_lost {
	uint64_t cells; /* accesses that found no cell, and uses that found no place */
	uint64_t files; /* accesses of files that found no room in a buffer, and files that found
			   no room among those whose faults are counted */
};

/* Bit n set: counter n cannot be seen on this kernel; its zero means nothing. */
uint32_t usage_unseen_counters(const struct usage_bpf *u);
static inline bool usage_sees(const struct usage_bpf *u, enum usage_counter counter)
{
	return !(usage_unseen_counters(u) >> counter & 1);
}

/* Each visits in no order; a visitor's negative return ends the walk and is returned. The cells
 * are those of all mounts that are not forgotten, retired ones included, and of all layers that
 * are or were watched. What was never touched has none. */
int usage_read_cells(struct usage_bpf *u, int (*visit)(const struct usage_cell *cell, void *user),
		     void *user, struct error *e);
/* Those that may have changed since the last call, and seldom all. By one thread at a time. */
int usage_read_changed_cells(struct usage_bpf *u,
			     int (*visit)(const struct usage_cell *cell, void *user), void *user,
			     struct error *e);
/* Not all that the last call has visited was made use of: the next one visits all. */
void usage_read_all_again(struct usage_bpf *u);
/* Those of one mount, or of one layer, only; none for a mount that is forgotten. */
int usage_read_mount_cells(struct usage_bpf *u, uint64_t mount_id,
			   int (*visit)(const struct usage_cell *cell, void *user), void *user,
			   struct error *e);
struct usage_lost usage_read_lost(struct usage_bpf *u);
/* Grows when something may have changed in the upper of a mount that is not known: after that
 * no size of a writable layer that is mounted can be trusted. Syscall backend only. */
uint64_t usage_read_unplaced_changes(struct usage_bpf *u);
